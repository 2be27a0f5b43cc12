"""Loading published tax rates beside those that staff typed, which are never changed."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import StrEnum

from django.db import connection

from checkout.catalogue.models import TaxRate
from checkout.catalogue.rules.published_rates import PublishedRate
from checkout.catalogue.rules.tables import RateRow, faults_of_rates
from checkout.quotes.rules import TaxClass


class Loaded(StrEnum):
    ADDED = "added"
    KEPT = "kept"  # it was there
    YOURS = "yours differ"  # staff entered another rate for this place and class
    NO_PLACE = "left out"  # beside what staff entered it would make a hole


@dataclass(frozen=True, kw_only=True)
class LoadedRate:
    rate: PublishedRate
    became: Loaded
    beside: str = ""  # the rows of staff that it was left out for


def lock_rates() -> None:
    """Everybody who writes tax rates waits here, until the end of the transaction of whoever came
    first. Reading goes on."""
    with connection.cursor() as cursor:
        cursor.execute("LOCK TABLE catalogue_taxrate IN SHARE ROW EXCLUSIVE MODE")


def rate_row(rate: TaxRate | PublishedRate) -> RateRow:
    return RateRow(
        country=rate.country,
        region=rate.region if isinstance(rate, TaxRate) else "",
        tax_class=TaxClass(rate.tax_class),
        percent=rate.percent,
        holds_from=rate.holds_from,
    )


def load_rates(published: Collection[PublishedRate], *, is_dry: bool = False) -> list[LoadedRate]:
    """Add what is missing, and say what became of each rate. Call it inside a transaction."""
    if not is_dry:
        lock_rates()
    countries = {rate.country for rate in published}
    stored = [rate_row(rate) for rate in TaxRate.objects.filter(country__in=countries)]
    loaded = plan(published, stored)
    if not is_dry:
        TaxRate.objects.bulk_create(
            TaxRate(
                country=each.rate.country,
                tax_class=each.rate.tax_class.value,
                percent=each.rate.percent,
                holds_from=each.rate.holds_from,
                source=each.rate.source,
            )
            for each in loaded
            if each.became is Loaded.ADDED
        )
    return loaded


def plan(published: Iterable[PublishedRate], stored: Collection[RateRow]) -> list[LoadedRate]:
    """A place and class in which staff have a row of their own is left to them as it is: a row
    between theirs would change what holds."""
    published = list(published)
    ours = {rate_row(rate) for rate in published}
    rows, loaded = list(stored), []
    for rate in published:
        row = rate_row(rate)
        theirs = [
            other
            for other in stored
            if (other.country, other.region, other.tax_class) == (row.country, "", row.tax_class)
            and other not in ours
        ]
        became = Loaded.KEPT if row in rows else Loaded.ADDED
        if theirs:
            became = Loaded.YOURS
        elif became is Loaded.ADDED and len(_faults([*rows, row], row)) > len(_faults(rows, row)):
            became = Loaded.NO_PLACE
        if became is Loaded.ADDED:
            rows.append(row)
        beside = ", ".join(other.words for other in theirs)
        loaded.append(LoadedRate(rate=rate, became=became, beside=beside))
    return loaded


def _faults(rows: Iterable[RateRow], of: RateRow) -> list[str]:
    return faults_of_rates([row for row in rows if row.country == of.country])
