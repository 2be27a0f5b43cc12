"""What the shop's pages say of delivery prices and of tax before anything is ordered."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from django.conf import settings
from django.db import connection

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice

HAS_RULES = """
    SELECT
        EXISTS (
            SELECT FROM catalogue_taxrate
            WHERE country = %s AND region IN ('', %s) AND holds_from <= %s
        ),
        EXISTS (SELECT FROM catalogue_deliverymethod)
"""


@dataclass(frozen=True)
class RulesThereAre:
    """Whether prices have a tax at all where the shop is, and whether delivery has prices."""

    has_tax: bool
    has_delivery: bool


def rules_there_are(today: date) -> RulesThereAre:
    with connection.cursor() as cursor:
        cursor.execute(HAS_RULES, [settings.SHOP_COUNTRY, settings.SHOP_REGION, today])
        return RulesThereAre(*cursor.fetchone())


@dataclass(frozen=True)
class Band:
    """Goods of this weight or value on, and less than `below`. Without a price they are not sent
    this way."""

    at_least: int
    below: int | None
    price_minor: int | None


@dataclass(frozen=True)
class CountryGroup:
    """Countries with the same prices. The empty one is everywhere else."""

    countries: tuple[str, ...]
    bands: tuple[Band, ...]


@dataclass(frozen=True)
class MethodPrices:
    method: DeliveryMethod
    groups: tuple[CountryGroup, ...]


def price_list() -> list[MethodPrices]:
    """The methods that are offered, in two statements, however many there are."""
    methods = DeliveryMethod.objects.filter(is_on=True).prefetch_related("prices")
    return [
        MethodPrices(method, tuple(_groups(list(method.prices.all()))))
        for method in methods
        if method.prices.all()
    ]


def _groups(prices: Sequence[DeliveryPrice]) -> Iterator[CountryGroup]:
    """In the order of their countries' codes, with everywhere else at the end."""
    by_country = {
        country: tuple(_bands(list(rows)))
        for country, rows in groupby(prices, key=lambda price: price.country)
    }
    elsewhere = by_country.pop("", None)
    for bands in dict.fromkeys(by_country.values()):
        same = tuple(country for country, theirs in by_country.items() if theirs == bands)
        yield CountryGroup(same, bands)
    if elsewhere:
        yield CountryGroup(("",), elsewhere)


def _bands(rows: Sequence[DeliveryPrice]) -> Iterator[Band]:
    for row in rows:
        yield Band(row.at_least, row.below, row.price_minor)
    if (end := rows[-1].below) is not None:
        yield Band(end, None, None)
