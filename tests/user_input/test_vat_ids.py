"""VAT ids are checked for their form and stored in one spelling."""

import pytest

from checkout.user_input.vat_ids import compact


@pytest.mark.parametrize(
    ("typed", "country", "kept"),
    [
        ("DE 136 695 976", "DE", "DE136695976"),
        ("de136695976", "DE", "DE136695976"),
        ("ＤＥ136695976", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("ATU13585627", "DE", "ATU13585627"),
        ("U13585627", "AT", "ATU13585627"),
        ("GR094259216", "GR", "EL094259216"),
        ("EL 094259216", "GR", "EL094259216"),
        ("094259216", "GR", "EL094259216"),
        ("B58378431", "ES", "ESB58378431"),
        ("FR 40 303 265 045", "FR", "FR40303265045"),
        ("BE 0428.759.497", "BE", "BE0428759497"),
        ("IE 6433435F", "IE", "IE6433435F"),
        ("GB 980 7806 84", "GB", "GB980780684"),
        ("980 7806 84", "GB", "GB980780684"),
        ("980780684", "IM", "GB980780684"),
        ("XI 980780684", "GB", "XI980780684"),
        ("CHE-107.787.577 MWST", "CH", "CHE107787577MWST"),
        ("che107787577tva", "CH", "CHE107787577TVA"),
        ("107.787.577", "CH", "CHE107787577"),
        ("NO 995 525 828 MVA", "NO", "NO995525828MVA"),
        ("995525828", "NO", "NO995525828MVA"),
        ("DE136695976", "US", "DE136695976"),
    ],
)
def test_vat_id_has_one_spelling(typed: str, country: str, kept: str) -> None:
    assert compact(typed, country) == kept
    assert compact(kept, country) == kept


@pytest.mark.parametrize(
    ("typed", "country"),
    [
        ("DE136695978", "DE"),
        ("DE13669597", "DE"),
        ("12", "AT"),
        ("none", "FR"),
        ("ß", "DE"),
        ("---", "DE"),
        ("GB980780685", "GB"),
        ("CHE-107.787.578 MWST", "CH"),
        ("CHE-107.787.577 USt", "CH"),
        ("NO 995 525 829 MVA", "NO"),
        ("\x00", "NL"),
    ],
)
def test_wrong_vat_id_is_found(typed: str, country: str) -> None:
    assert compact(typed, country) is None


@pytest.mark.parametrize(
    ("typed", "country"),
    [("12-3456789", "US"), ("DE 1", "JP"), ("51 824 753 556", "AU"), ("anything", "")],
)
def test_number_of_a_country_that_is_not_known_stays_as_typed(typed: str, country: str) -> None:
    assert compact(f" {typed} ", country) == typed
