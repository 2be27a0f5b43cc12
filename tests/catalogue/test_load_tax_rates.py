"""Published tax rates are loaded beside what staff typed, which stays."""

import json
import re
from datetime import date
from decimal import Decimal
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from checkout.catalogue.models import TaxRate
from checkout.catalogue.rules.load_rates import rate_row
from checkout.catalogue.rules.published_rates import published_rates
from checkout.catalogue.rules.read import read_rules
from checkout.catalogue.rules.tables import faults_of_rates
from checkout.quotes.rules import Destination, TaxClass

TODAY = date(2026, 11, 29)


def load(*arguments: str) -> str:
    out = StringIO()
    call_command("load_tax_rates", *arguments, stdout=out)
    return out.getvalue()


def stored() -> set[tuple[str, str, Decimal, date]]:
    return set(TaxRate.objects.values_list("country", "tax_class", "percent", "holds_from"))


def became(output: str) -> dict[str, str]:
    rows = json.loads(output)
    return {f"{row['country']} {row['tax_class']}": row["became"] for row in rows}


def test_thirty_countries_have_a_standard_rate_with_source_and_date() -> None:
    rates = published_rates()
    standard = {rate.country: rate for rate in rates if rate.tax_class is TaxClass.STANDARD}

    assert len(standard) == 30
    assert {*standard} - {rate.country for rate in rates if rate.tax_class is TaxClass.REDUCED} == {
        "DK"
    }
    assert all(re.search(r", read on 2026-\d\d-\d\d", rate.source) for rate in rates)
    assert all(len(rate.source) <= 200 for rate in rates)
    assert all(rate.holds_from <= TODAY for rate in rates)
    assert faults_of_rates([rate_row(rate) for rate in rates]) == []


# From the authorities' own announcements, against slips in the list.
@pytest.mark.parametrize(
    ("country", "standard", "reduced"),
    [
        ("EE", "24", "9"),
        ("SK", "23", "19"),
        ("RO", "21", "11"),
        ("FI", "25.5", "13.5"),
        ("CH", "8.1", "2.6"),
        ("NO", "25", "15"),
        ("DE", "19", "7"),
        ("IE", "23", "13.5"),
        ("DK", "25", "0"),
    ],
)
@pytest.mark.django_db
def test_quotes_take_the_loaded_rates(country: str, standard: str, reduced: str) -> None:
    load("--country", country)

    there = Destination(country=country)
    rules = read_rules(there, today=TODAY)
    assert rules.tax_percent(TaxClass.STANDARD, there) == Decimal(standard)
    assert rules.tax_percent(TaxClass.REDUCED, there) == Decimal(reduced)


@pytest.mark.django_db
def test_second_run_changes_nothing_and_says_so() -> None:
    first = load()
    rows = list(TaxRate.objects.order_by("id").values())

    second = load()

    assert list(TaxRate.objects.order_by("id").values()) == rows
    assert len(rows) == 59
    assert (first.count("added  "), second.count("added  ")) == (59, 0)
    assert second.count("kept  ") == 59
    assert "your adviser check these rates" in first


@pytest.mark.django_db
def test_rate_that_staff_changed_or_added_is_left_and_named() -> None:
    load("--country", "DE", "--country", "AT")
    TaxRate.objects.filter(country="DE", tax_class="standard").update(percent=16)
    TaxRate.objects.filter(country="AT", tax_class="reduced").delete()
    TaxRate.objects.create(
        country="AT", tax_class="standard", percent=22, holds_from=date(2027, 1, 1)
    )
    before = stored()

    told = load("--country", "DE", "--country", "AT")

    assert re.search(r"DE +standard +19 +2021-01-01 +yours differ +yours: “DE standard: 16 %", told)
    assert re.search(r"AT +standard +20 +1984-01-01 +yours differ +yours: “AT standard: 22 %", told)
    assert stored() - before == {("AT", "reduced", Decimal(10), date(1984, 1, 1))}


@pytest.mark.django_db
def test_reduced_rate_that_would_make_a_hole_is_left_out() -> None:
    TaxRate.objects.create(
        country="DE", tax_class="standard", percent=19, holds_from=date(2026, 6, 1)
    )

    output = load("--country", "de", "--json")

    assert became(output) == {"DE standard": "yours differ", "DE reduced": "left out"}
    assert TaxRate.objects.count() == 1


@pytest.mark.django_db
def test_dry_run_stores_nothing() -> None:
    told = load("--dry-run")

    assert told.count("added  ") == 59
    assert "Nothing was stored." in told
    assert not TaxRate.objects.exists()


def test_unknown_country_is_named() -> None:
    with pytest.raises(CommandError, match="No rates of 'US' are known here, only of AT BE"):
        load("--country", "US")
