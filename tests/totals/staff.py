"""Staff who change, at random, everything that a total depends on."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, TypeVar

from django.db.models import F, Model, QuerySet
from pytest_django.fixtures import Settings

from checkout.catalogue.models import (
    DeliveryMethod,
    DeliveryPrice,
    DiscountCode,
    Product,
    TaxRate,
)
from checkout.orders.models import CodeUse
from checkout.quotes.rules import TaxClass
from tests.support.rules import LONG_AGO, delivery_method, tax_rate
from tests.support.shelves import on_the_shelf

PRODUCTS = 6
COUNTRIES = ["DE", "IE", "US", "FR"]
TAXED = [("DE", ""), ("IE", ""), ("US", ""), ("US", "CA"), ("US", "NY"), ("FR", "")]
PERCENTS = [Decimal(text) for text in ("0", "5.5", "7", "7.25", "8.875", "19", "20", "23")]
PRICES = [0, 1, 99, 490, 999, 1290, 4999, 5000]
CODES = ["AUTUMN", "TEN-OFF", "POST-FREE", "ALL"]

DAY = timedelta(days=1)

Row = TypeVar("Row", bound=Model)


@dataclass
class Staff:
    chance: random.Random
    settings: Settings
    today: date

    def open_shop(self) -> list[Product]:
        """A shop in which every change finds something."""
        classes = [*TaxClass]
        products = [
            Product(
                sku=f"T-{n}",
                name=f"Thing {n}",
                slug=f"t-{n}",
                price_minor=999 + n,
                stock=10**8,
                tax_class=classes[n % 3].value,
            )
            for n in range(PRODUCTS)
        ]
        on_the_shelf(products)
        for country, region in TAXED:
            for tax_class in classes:
                percent = str(self.chance.choice(PERCENTS))
                tax_rate(country, percent, region=region, tax_class=tax_class.value)
        delivery_method("Post", {"DE": 490, "": 990}, position=1)
        delivery_method("Express", {"DE": 1290, "IE": 1990}, position=2)
        for _ in CODES:
            self.new_code()
        for _ in range(20):
            self.something()
        return products

    def something(self) -> str:
        """Change one thing, and say what."""
        kinds: list[Callable[[], object]] = [
            *(self.price, self.price, self.product, self.another_rate, self.another_rate),
            *(self.delivery_price, self.delivery_price, self.method_on_or_off, self.method_kind),
            *(self.new_method, self.deleted_method, self.new_code, self.new_code, self.code_state),
            *(self.deleted_code, self.deployment),
        ]
        change = self.chance.choice(kinds)
        return f"{change.__name__}: {change()}"

    # Products

    def price(self) -> object:
        price = self.chance.choice([*PRICES, self.chance.randrange(20_000)])
        return self._a_product().update(price_minor=price), price

    def product(self) -> object:
        change = self.chance.choice(
            [
                {"tax_class": self.chance.choice([*TaxClass]).value},
                {"weight_grams": self.chance.choice([0, 400, 1000, 6000])},
                {"is_delivered": self.chance.random() < 0.8},
            ]
        )
        return self._a_product().update(**change), change

    def _a_product(self) -> "QuerySet[Product]":
        return Product.objects.filter(sku=f"T-{self.chance.randrange(PRODUCTS)}")

    # Tax

    def another_rate(self) -> object:
        country, region = self.chance.choice(TAXED)
        key = {
            "country": country,
            "region": region,
            "tax_class": self.chance.choice([*TaxClass]).value,
            "holds_from": self.chance.choice([LONG_AGO, self.today - DAY]),
        }
        if self.chance.random() < 0.1:
            return TaxRate.objects.filter(**key).delete()
        percent = self.chance.choice(PERCENTS)
        return TaxRate.objects.update_or_create(**key, defaults={"percent": percent})

    # Delivery

    def delivery_price(self) -> object:
        price = self.chance.choice(PRICES)
        return self._one_of(DeliveryPrice.objects.all()).update(price_minor=price), price

    def method_on_or_off(self) -> object:
        is_on = self.chance.random() < 0.7
        return self._one_of(DeliveryMethod.objects.all()).update(is_on=is_on), is_on

    def method_kind(self) -> object:
        change = self.chance.choice(
            [
                {"is_priced_by_weight": self.chance.random() < 0.5},
                {"tax_class": self.chance.choice([*TaxClass]).value},
                {"position": self.chance.randrange(4)},
                {"needs_phone": self.chance.random() < 0.3},
            ]
        )
        return self._one_of(DeliveryMethod.objects.all()).update(**change), change

    def new_method(self) -> object:
        """One with two bands for a country; the oldest goes when there are many."""
        if DeliveryMethod.objects.count() > 4:
            DeliveryMethod.objects.filter(pk=DeliveryMethod.objects.earliest("pk").pk).delete()
        countries = {each: self.chance.choice(PRICES) for each in self.chance.sample(COUNTRIES, 2)}
        method = delivery_method("New", {**countries, "": 1490}, position=self.chance.randrange(4))
        ends = self.chance.choice([500, 2500, 5000])
        banded = next(iter(countries))
        DeliveryPrice.objects.filter(method=method, country=banded).update(below=ends)
        return DeliveryPrice.objects.create(
            method=method, country=banded, at_least=ends, price_minor=self.chance.choice(PRICES)
        )

    def deleted_method(self) -> object:
        if self.chance.random() < 0.5:
            return self._one_of(DeliveryPrice.objects.all()).delete()
        return self._one_of(DeliveryMethod.objects.all()).delete()

    # Codes

    def new_code(self) -> object:
        """A code of this name, or another discount under the name of one."""
        gives: dict[str, Any] = self.chance.choice(
            [
                *({"kind": "percent", "percent": Decimal(p)} for p in ("100", "10", "12.345")),
                *({"kind": "amount", "amount_minor": minor} for minor in (1, 500, 100_000)),
                {"kind": "free_delivery"},
            ]
        )
        always = {"is_on": True, "starts_on": None, "ends_on": None, "least_goods_minor": 0}
        new = {"percent": None, "amount_minor": None, "limit": None, **always, **gives}
        name = self.chance.choice(CODES)
        return DiscountCode.objects.update_or_create(code=name, defaults=new)

    def code_state(self) -> object:
        change: dict[str, Any] = self.chance.choice(
            [
                {"is_on": self.chance.random() < 0.8},
                {"least_goods_minor": self.chance.choice([0, 2000])},
                {"ends_on": self.chance.choice([None, self.today, self.today - DAY])},
                {"starts_on": self.chance.choice([None, None, self.today + DAY])},
                {"per_customer": self.chance.choice([None, 1])},
                {"limit": self.chance.choice([None, F("used"), F("used") + 1])},
            ]
        )
        return self._one_of(DiscountCode.objects.all()).update(**change), change

    def deleted_code(self) -> object:
        """Staff can delete a code that no order has."""
        unused = DiscountCode.objects.exclude(pk__in=CodeUse.objects.values("code"))
        return self._one_of(unused).delete()

    # The shop's own settings, which change when it is deployed again

    def deployment(self) -> object:
        self.settings.PRICES_INCLUDE_TAX = self.chance.random() < 0.5
        self.settings.TAX_BY = self.chance.choice(["destination", "destination", "origin"])
        return self.settings.PRICES_INCLUDE_TAX, self.settings.TAX_BY

    def _one_of(self, rows: "QuerySet[Row]") -> "QuerySet[Row]":
        ids = [*rows.order_by("pk").values_list("pk", flat=True)]
        return rows.model._default_manager.filter(pk=self.chance.choice(ids or [0]))
