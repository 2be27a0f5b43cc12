"""The rules for one destination, read by one statement, however many there are."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import connection

from checkout.quotes.rules import (
    DeliveryMethod,
    DeliveryPrice,
    Destination,
    DiscountCode,
    Rules,
    TaxClass,
    TaxRate,
)

# The rates that hold on the day; and the methods that are offered, with the prices for the country
# or, where a method has none for it, those for everywhere else.
READ = """
    SELECT
        (SELECT coalesce(json_agg(rate), '[]') FROM (
            SELECT DISTINCT ON (region, tax_class) region, tax_class, percent::text
            FROM catalogue_taxrate
            WHERE country = %(tax_country)s AND region IN ('', %(tax_region)s)
                AND holds_from <= %(today)s
            ORDER BY region, tax_class, holds_from DESC
        ) rate)::text,
        (SELECT coalesce(json_agg(method ORDER BY position, id), '[]') FROM (
            SELECT id, name, duration, tax_class, is_priced_by_weight, needs_phone, position, (
                SELECT coalesce(json_agg(price ORDER BY country, at_least), '[]') FROM (
                    SELECT country, at_least, below, price_minor FROM catalogue_deliveryprice
                    WHERE method_id = method.id AND country IN ('', %(country)s)
                ) price
            ) AS prices
            FROM catalogue_deliverymethod method WHERE is_on
        ) method)::text,
        EXISTS (SELECT FROM catalogue_deliverymethod),
        EXISTS (SELECT FROM catalogue_discountcode WHERE is_on)
"""


def read_rules(destination: Destination, *, today: date, code: DiscountCode | None = None) -> Rules:
    """The rules as they hold on the day for an order to the destination. `code` was read before."""
    origin = None
    if settings.TAX_BY == "origin":
        origin = Destination(country=settings.SHOP_COUNTRY, region=settings.SHOP_REGION)
    taxed = origin or destination
    params: dict[str, str | date] = {
        "tax_country": taxed.country,
        "tax_region": taxed.region,
        "country": destination.country,
        "today": today,
    }
    with connection.cursor() as cursor:
        cursor.execute(READ, params)
        rates, methods, has_delivery, has_codes = cursor.fetchone()
    return Rules(
        currency=settings.SHOP_CURRENCY,
        today=today,
        prices_include_tax=settings.PRICES_INCLUDE_TAX,
        origin=origin,
        tax_rates=tuple(_rate(row, taxed.country) for row in json.loads(rates)),
        has_delivery=has_delivery,
        has_codes=has_codes,
        methods=tuple(_method(row) for row in json.loads(methods)),
        code=code,
    )


def _rate(row: Mapping[str, Any], country: str) -> TaxRate:
    return TaxRate(
        country=country,
        region=row["region"],
        tax_class=TaxClass(row["tax_class"]),
        percent=Decimal(row["percent"]),
    )


def _method(row: Mapping[str, Any]) -> DeliveryMethod:
    return DeliveryMethod(
        id=str(row["id"]),
        name=row["name"],
        duration=row["duration"],
        tax_class=TaxClass(row["tax_class"]),
        is_priced_by_weight=row["is_priced_by_weight"],
        needs_phone=row["needs_phone"],
        prices=tuple(DeliveryPrice(**price) for price in row["prices"]),
    )
