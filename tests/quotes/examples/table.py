"""The columns of the table of worked examples. Amounts are written as people write them."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from checkout.catalogue.money import minor_units
from checkout.quotes.quote import Quote, Refusal, quote
from checkout.quotes.rules import (
    CodeKind,
    DeliveryMethod,
    DeliveryPrice,
    Destination,
    DiscountCode,
    Line,
    Rules,
    TaxClass,
    TaxRate,
)

TODAY = date(2026, 11, 29)

WITH_TAX, WITHOUT_TAX = True, False

GERMAN = "DE standard 19, DE reduced 7, DE zero 0"
NO_TAX = ""

# Such as `9.99 reduced 250g`, or the same with how many before it.
GOODS = re.compile(r"(?:(\d+) × )?([\d.]+)((?: \w+)*)")


@dataclass(frozen=True, kw_only=True)
class Example:
    name: str
    why: str  # the source or the arithmetic
    # What goes in.
    goods: str  # lines, with commas between them
    prices: bool = WITH_TAX
    rates: str = GERMAN
    to: str = "DE"
    taxed_at: str = ""  # the shop's own place where its rates count, whatever the destination
    methods: Sequence[DeliveryMethod] | None = ()  # None: the shop has some, and all are off
    method: str = ""  # the id that was chosen
    code: DiscountCode | None = None
    typed: str | None = None  # where it is not the code itself
    currency: str = "EUR"
    # What comes out.
    discounts: str = ""  # of each line; empty: none
    delivery: str = "0"
    taxes: str = ""  # "19 %: net + tax", with commas between them
    tax_of_lines: str = ""  # how each tax is shared by the lines; empty: not told
    total: str
    refused: Refusal | None = None

    def minor(self, amount: str) -> int:
        return minor_units(Decimal(amount), self.currency)

    def amounts(self, text: str) -> list[int]:
        return [self.minor(amount) for amount in text.split()]

    def lines(self) -> list[Line]:
        return [self._line(n, text) for n, text in enumerate(self.goods.split(", "), 1)]

    def _line(self, number: int, text: str) -> Line:
        found = GOODS.fullmatch(text)
        assert found, text
        quantity, price, words = found[1] or "1", found[2], found[3].split()
        weights = [word for word in words if re.fullmatch(r"\d+g", word)]
        classes = [word for word in words if word in set(TaxClass)]
        assert set(words) <= {*weights, *classes, "voucher"}, text
        return Line(
            product_id=number,
            quantity=int(quantity),
            unit_price_minor=self.minor(price),
            weight_grams=int(weights[0][:-1]) if weights else 0,
            is_delivered="voucher" not in words,
            tax_class=TaxClass(classes[0]) if classes else TaxClass.STANDARD,
        )

    def rules(self) -> Rules:
        return Rules(
            currency=self.currency,
            today=TODAY,
            prices_include_tax=self.prices,
            origin=place(self.taxed_at) if self.taxed_at else None,
            tax_rates=tuple(_rate(text) for text in filter(None, self.rates.split(", "))),
            has_delivery=self.methods is None or bool(self.methods),
            methods=tuple(self.methods or ()),
            code=self.code,
        )

    def quote(self) -> Quote:
        typed = self.typed if self.typed is not None else self.code.code if self.code else ""
        return quote(self.lines(), place(self.to), self.method, typed, self.rules())

    def expected_taxes(self) -> list[tuple[Decimal, int, int]]:
        """Percentage, net amount and tax."""
        rows = [re.split(r" %: | \+ ", text) for text in filter(None, self.taxes.split(", "))]
        return [(Decimal(percent), self.minor(net), self.minor(tax)) for percent, net, tax in rows]


def place(text: str) -> Destination:
    country, _, region = text.partition("-")
    return Destination(country=country, region=region)


def _rate(text: str) -> TaxRate:
    where, tax_class, percent = text.split()
    found = place(where)
    return TaxRate(
        country=found.country,
        region=found.region,
        tax_class=TaxClass(tax_class),
        percent=Decimal(percent),
    )


def percent_code(percent: str) -> DiscountCode:
    return DiscountCode(code="CODE", kind=CodeKind.PERCENT, percent=Decimal(percent))


def amount_code(amount_minor: int) -> DiscountCode:
    return DiscountCode(code="CODE", kind=CodeKind.AMOUNT, amount_minor=amount_minor)


FREE_DELIVERY = DiscountCode(code="CODE", kind=CodeKind.FREE_DELIVERY)


def flat(price_minor: int, tax_class: TaxClass = TaxClass.STANDARD) -> DeliveryMethod:
    """A method with one price for everywhere."""
    prices = (DeliveryPrice(country="", price_minor=price_minor),)
    return DeliveryMethod(id="post", name="Post", tax_class=tax_class, prices=prices)
