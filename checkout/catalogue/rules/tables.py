"""Price and rate tables without a hole and without an overlap: what is refused, and why.

Each fault is a sentence for whoever types the table, and names the two rows that do not fit.
"""

from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from itertools import groupby, pairwise
from math import inf

from checkout.quotes.rules import TaxClass, plain_percent

Words = Callable[[int], str]


@dataclass(frozen=True, kw_only=True)
class PriceRow:
    """A row of a method's price table: for goods from `at_least` on and less than `below`."""

    country: str  # empty: everywhere else
    at_least: int
    below: int | None  # None: without an end

    def words(self, place: Callable[[str], str], measure: Words) -> str:
        until = "without an end" if self.below is None else f"to below {measure(self.below)}"
        return f"“{place(self.country)}: from {measure(self.at_least)} {until}”"


def faults_of_prices(
    rows: Collection[PriceRow], place: Callable[[str], str], measure: Words
) -> list[str]:
    """`place` and `measure` say a country, and an amount or a weight, as the table shows them."""
    ordered = sorted(
        rows, key=lambda row: (row.country, row.at_least, inf if row.below is None else row.below)
    )
    faults: list[str] = []
    for _, of_country in groupby(ordered, key=lambda row: row.country):
        faults += _faults_of_country(list(of_country), place, measure)
    return faults


def _faults_of_country(
    rows: list[PriceRow], place: Callable[[str], str], measure: Words
) -> Iterator[str]:
    def words(row: PriceRow) -> str:
        return row.words(place, measure)

    first = rows[0]
    if first.at_least:
        yield (
            f"{words(first)} is the first row of its country and leaves out what is below it. The "
            f"first row begins at {measure(0)}."
        )
    for row in rows:
        if row.below is not None and row.below <= row.at_least:
            yield f"{words(row)} ends before it begins. “Below” is more than “from”."
    for row, following in pairwise(rows):
        if row.below is None or row.below > following.at_least:
            way_out = _way_out(row, following, measure)
            yield f"{words(row)} and {words(following)} overlap. {way_out}"
        elif row.below < following.at_least:
            yield (
                f"Between {words(row)} and {words(following)} is a hole. Let the second begin "
                f"where the first ends: from {measure(row.below)}."
            )


def _way_out(row: PriceRow, following: PriceRow, measure: Words) -> str:
    if row.at_least < following.at_least:
        return f"Let the first end where the second begins: below {measure(following.at_least)}."
    if row.below is None or row.below == following.below:
        return "Delete one of them."
    return f"Let the second begin where the first ends: from {measure(row.below)}."


@dataclass(frozen=True, kw_only=True)
class RateRow:
    country: str
    region: str
    tax_class: TaxClass
    percent: Decimal
    holds_from: date

    @property
    def words(self) -> str:
        place = f"{self.country}-{self.region}" if self.region else self.country
        percent = plain_percent(self.percent)
        return f"“{place} {self.tax_class}: {percent} % from {self.holds_from}”"


def faults_of_rates(rows: Collection[RateRow]) -> list[str]:
    """The rows are those of one country or of many."""
    ordered = sorted(rows, key=lambda row: (row.country, row.region, row.tax_class, row.holds_from))
    overlaps = [
        f"{row.words} and {following.words} overlap: both begin on the same day. Change one of "
        "them instead of adding another."
        for row, following in pairwise(ordered)
        if _day_of_rate(row) == _day_of_rate(following)
    ]
    holes = [_hole(row, ordered) for row in _first_rows(ordered)]
    return overlaps + [hole for hole in holes if hole]


def _day_of_rate(row: RateRow) -> tuple[str, str, TaxClass, date]:
    return row.country, row.region, row.tax_class, row.holds_from


def _first_rows(ordered: list[RateRow]) -> Iterator[RateRow]:
    """The earliest row of each place and class."""
    for _, rows in groupby(ordered, key=lambda row: _day_of_rate(row)[:3]):
        yield next(rows)


def _hole(row: RateRow, rows: list[RateRow]) -> str:
    """A region without a standard rate of its own has that of its country."""
    if row.tax_class is TaxClass.STANDARD:
        return ""
    standard = [
        other
        for other in rows
        if other.tax_class is TaxClass.STANDARD
        and other.country == row.country
        and other.region in {"", row.region}
    ]
    if not standard:
        return f"{row.words} has no standard rate of its place beside it. Enter that one first."
    first = min(standard, key=lambda other: other.holds_from)
    if first.holds_from <= row.holds_from:
        return ""
    return (
        f"{row.words} begins before {first.words}, so there is a hole: standard goods would bear "
        "no tax until then. Let the standard rate begin first."
    )
