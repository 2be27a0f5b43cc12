"""A price or rate table with a hole or an overlap is refused, with the two rows named."""

import random
from datetime import date
from decimal import Decimal

import pytest

from checkout.catalogue.rules.tables import PriceRow, RateRow, faults_of_prices, faults_of_rates
from checkout.quotes.rules import DeliveryMethod, DeliveryPrice, TaxClass


def row(country: str, at_least: int, below: int | None) -> PriceRow:
    return PriceRow(country=country, at_least=at_least, below=below)


def faults(*rows: PriceRow) -> list[str]:
    return faults_of_prices(
        rows, lambda code: code or "Everywhere else", lambda grams: f"{grams} g"
    )


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [row("DE", 0, None)],
        [row("DE", 0, 1000)],  # more is not sent there
        [row("DE", 0, 1000), row("DE", 1000, None)],
        [row("DE", 1000, 5000), row("DE", 0, 1000)],  # in whatever order they were typed
        [row("DE", 0, 1000), row("", 0, 500), row("", 500, None), row("AT", 0, None)],
    ],
)
def test_whole_table_is_taken(rows: list[PriceRow]) -> None:
    assert faults(*rows) == []


def test_first_row_begins_at_nothing() -> None:
    [fault] = faults(row("DE", 500, None))

    assert "“DE: from 500 g without an end”" in fault
    assert "begins at 0 g" in fault


def test_hole_names_both_rows() -> None:
    [fault] = faults(row("DE", 0, 1000), row("DE", 2000, None))

    assert fault == (
        "Between “DE: from 0 g to below 1000 g” and “DE: from 2000 g without an end” is a hole. "
        "Let the second begin where the first ends: from 1000 g."
    )


@pytest.mark.parametrize(
    ("first", "named"),
    [
        (row("", 0, 3000), "“Everywhere else: from 0 g to below 3000 g”"),
        (row("", 0, None), "“Everywhere else: from 0 g without an end”"),
    ],
)
def test_overlap_names_both_rows(first: PriceRow, named: str) -> None:
    [fault] = faults(first, row("", 2000, 5000))

    assert fault.startswith(f"{named} and “Everywhere else: from 2000 g to below 5000 g” overlap.")


@pytest.mark.parametrize(
    ("first", "second", "way_out"),
    [
        (row("DE", 0, None), row("DE", 500, None), "Let the first end where the second begins"),
        (row("DE", 0, None), row("DE", 0, 500), "Let the second begin where the first ends"),
        (row("DE", 0, None), row("DE", 0, None), "Delete one of them"),
    ],
)
def test_overlap_says_the_way_out(first: PriceRow, second: PriceRow, way_out: str) -> None:
    [fault] = faults(first, second)

    assert way_out in fault


def test_row_that_ends_before_it_begins_is_named() -> None:
    assert any("ends before it begins" in fault for fault in faults(row("DE", 0, 0)))


def test_table_is_taken_exactly_if_every_weight_below_its_end_has_one_price() -> None:
    """The check against what `quote` makes of the same rows, over tables drawn at random."""
    draw = random.Random("tables")
    taken = 0
    for _ in range(4_000):
        cuts = sorted(draw.sample(range(1, 12), draw.randint(0, 3)))
        rows = [row("DE", a, b) for a, b in zip([0, *cuts], [*cuts, None], strict=True)]
        if draw.random() < 0.6:
            at = draw.randrange(len(rows))
            below = draw.choice([None, *range(1, 12)])
            rows[at] = row("DE", draw.randrange(12), below)
        counts = [sum(_holds(each, grams) for each in rows) for grams in range(14)]
        ends = counts.index(0) if 0 in counts else len(counts)
        is_whole = set(counts[:ends]) == {1} and not any(counts[ends:]) and _is_sane(rows)

        assert (faults(*rows) == []) is is_whole, rows
        taken += is_whole
        if is_whole:
            assert [_price(rows, grams) is None for grams in range(14)] == [not n for n in counts]
    assert 500 < taken < 3_500


def _holds(each: PriceRow, grams: int) -> bool:
    return grams >= each.at_least and (each.below is None or grams < each.below)


def _is_sane(rows: list[PriceRow]) -> bool:
    return all(each.below is None or each.below > each.at_least for each in rows)


def _price(rows: list[PriceRow], grams: int) -> int | None:
    prices = tuple(
        DeliveryPrice(country="DE", at_least=each.at_least, below=each.below, price_minor=1)
        for each in rows
    )
    method = DeliveryMethod(id="1", name="Post", is_priced_by_weight=True, prices=prices)
    return method.price_minor("DE", value_minor=0, weight_grams=grams)


def rate(country: str, tax_class: str, percent: str, day: str, region: str = "") -> RateRow:
    return RateRow(
        country=country,
        region=region,
        tax_class=TaxClass(tax_class),
        percent=Decimal(percent),
        holds_from=date.fromisoformat(day),
    )


GERMANY = [
    rate("DE", "standard", "19", "2007-01-01"),
    rate("DE", "standard", "16", "2020-07-01"),
    rate("DE", "standard", "19", "2021-01-01"),
    rate("DE", "reduced", "7", "2007-01-01"),
]


def test_rates_that_follow_each_other_are_taken() -> None:
    assert faults_of_rates([*GERMANY, rate("AT", "standard", "20", "1984-01-01")]) == []


def test_two_rates_of_one_day_overlap() -> None:
    [fault] = faults_of_rates([*GERMANY, rate("DE", "standard", "18.5", "2020-07-01")])

    assert "“DE standard: 16 % from 2020-07-01”" in fault
    assert "“DE standard: 18.5 % from 2020-07-01”" in fault


@pytest.mark.parametrize("tax_class", ["reduced", "zero"])
def test_reduced_rate_before_the_standard_one_is_a_hole(tax_class: str) -> None:
    [fault] = faults_of_rates(
        [
            rate("FR", tax_class, "5.5", "2013-12-31"),
            rate("FR", "standard", "20", "2014-01-01"),
            rate("FR", "standard", "21", "2030-01-01"),
        ]
    )

    assert f"“FR {tax_class}: 5.5 % from 2013-12-31” begins before" in fault
    assert "“FR standard: 20 % from 2014-01-01”" in fault


def test_reduced_rate_alone_is_a_hole() -> None:
    [fault] = faults_of_rates([*GERMANY, rate("FR", "reduced", "5.5", "2014-01-01")])

    assert "“FR reduced: 5.5 % from 2014-01-01” has no standard rate" in fault


def test_region_may_lean_on_the_standard_rate_of_its_country() -> None:
    canada = [rate("CA", "standard", "5", "2008-01-01")]
    region = rate("CA", "reduced", "2", "2020-01-01", region="QC")

    assert faults_of_rates([*canada, region]) == []
    assert len(faults_of_rates([region, rate("CA", "standard", "5", "2021-01-01", "ON")])) == 1
