"""A program that asks for a total, shows it, and orders some time later."""

import random
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from django.conf import settings

from checkout.catalogue.models import DeliveryMethod
from checkout.catalogue.money import minor_units
from checkout.orders.models import Order
from tests.support.api_caller import Caller, new_key
from tests.totals.buyer import ADDRESSES
from tests.totals.staff import CODES, PRODUCTS

QUOTES = "/api/v1/quotes/"

# What both requests have in common.
QUOTED = ("lines", "country", "region", "postcode", "code", "email")


@dataclass
class Program:
    caller: Caller
    chance: random.Random
    purchase: dict[str, Any] = field(default_factory=dict)
    expected: str = ""  # what its customer was shown, as the shop wrote it
    key: str = ""

    @property
    def expected_minor(self) -> int:
        return minor_units(Decimal(self.expected), settings.SHOP_CURRENCY)

    def ask(self) -> bool:
        """Be told a total, for the method that the customer then chooses. False: it was refused."""
        self._start()
        asked = {name: self.purchase[name] for name in QUOTED}
        told = self.caller.post(QUOTES, asked)
        if told.status != 200:
            assert told.status == 422, told.body
            return False
        methods = told.json["methods"]
        shown = self.chance.choice(methods)
        if self.chance.random() < 0.3:  # the shop's choice is the cheapest
            shown = min(methods, key=lambda each: Decimal(each["price"]))
            self.purchase.pop("delivery_method", None)
        elif shown["id"]:
            self.purchase["delivery_method"] = shown["id"]
        self.expected = shown["total"]
        return True

    def _start(self) -> None:
        products = self.chance.sample(range(PRODUCTS), self.chance.choice([1, 1, 2, 3]))
        self.key = new_key()
        self.purchase = {
            "lines": [
                {"sku": f"T-{number}", "quantity": self.chance.randint(1, 3)} for number in products
            ],
            "email": f"customer-{self.chance.randrange(10**12)}@example.com",
            "full_name": "Ada Quillfeather",
            "address": "12 Inkwell Lane",
            "phone": "+353 1 555 0199",  # which some methods need
            "payment_method": "pm_card_visa",
            "code": self.chance.choice(["", *CODES]),
            **self.chance.choice(ADDRESSES),
        }

    def change_mind(self) -> None:
        """Order to another country, by another method or with another code than was asked for."""
        kind = self.chance.choice(["country", "method", "code", "lines"])
        if kind == "country":
            self.purchase |= self.chance.choice(ADDRESSES)
        elif kind == "method":
            ids = map(str, DeliveryMethod.objects.order_by("pk").values_list("pk", flat=True))
            self.purchase["delivery_method"] = self.chance.choice(["999999999", *ids])
        elif kind == "code":
            self.purchase["code"] = self.chance.choice(["", "guess", *CODES])
        else:
            self.chance.shuffle(self.purchase["lines"])

    def order(self) -> Order | None:
        """The order that was stored. A program that is told another total may take it over."""
        before = Order.objects.count()
        answer = self.caller.place(self.key, self.purchase | {"expected_total": self.expected})
        if answer.status == 201:
            assert Order.objects.count() == before + 1
            order = Order.objects.latest("pk")
            told = answer.json["number"], answer.json["total"]
            assert told == (order.number, self.expected), f"{told}, and expected {self.expected}"
            return order
        assert answer.status in {409, 422}, answer.body
        assert Order.objects.count() == before, "refused, and stored all the same"
        if answer.problem == "total-changed" and self.chance.random() < 0.5:
            assert answer.json["total"] != self.expected
            self.expected = answer.json["total"]
            return self.order()
        return None
