"""Tax rates, delivery methods and discount codes, as staff would enter them."""

from datetime import date
from decimal import Decimal
from typing import Any

from checkout.catalogue.models import DeliveryMethod, DeliveryPrice, DiscountCode, TaxRate

LONG_AGO = date(2020, 1, 1)


def tax_rate(
    country: str,
    percent: str,
    *,
    region: str = "",
    tax_class: str = "standard",
    holds_from: date = LONG_AGO,
) -> TaxRate:
    return TaxRate.objects.create(
        country=country,
        region=region,
        tax_class=tax_class,
        percent=Decimal(percent),
        holds_from=holds_from,
    )


def delivery_method(name: str, prices: dict[str, int], **more: Any) -> DeliveryMethod:
    """`prices` are minor units by country; the empty country is everywhere else."""
    method = DeliveryMethod.objects.create(name=name, **more)
    DeliveryPrice.objects.bulk_create(
        DeliveryPrice(method=method, country=country, price_minor=price_minor)
        for country, price_minor in prices.items()
    )
    return method


def discount_code(code: str, *, percent: str = "10", **more: Any) -> DiscountCode:
    kind = more.pop("kind", "percent")
    of_percent = Decimal(percent) if kind == "percent" else None
    return DiscountCode.objects.create(code=code, kind=kind, percent=of_percent, **more)
