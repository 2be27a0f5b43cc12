"""One pure function says what a purchase costs: page, API and placing all ask it.

There is no database, no clock and no network in here. Amounts are whole minor units of a currency.

The rule, in the order in which it is worked out:

1. Goods are the sum of the lines. A code of percent or amount takes a discount off them, never more
   than there is, which is spread over the lines by largest remainder. Of equal remainders that of
   the lowest product id comes first, so the same goods cost the same in whatever order they stand.
2. Delivery is priced by the weight of what is delivered, or by its value after the discount.
3. Tax is rounded half up once for each percentage of the order, over its lines and its delivery
   together. With `prices_include_tax` the tax is contained in them, otherwise it is added.
4. The total is the goods less the discount, the delivery, and the tax that is added.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from checkout.quotes.rounding import half_up, spread
from checkout.quotes.rules import (
    CodeKind,
    DeliveryMethod,
    Destination,
    DiscountCode,
    Line,
    Rules,
    TaxClass,
    code_spelling,
    plain_percent,
)


class Refusal(StrEnum):
    """Why a purchase cannot be placed as it was asked for."""

    CODE_UNKNOWN = "code unknown"
    CODE_NOT_YET = "code not yet"
    CODE_ENDED = "code ended"
    CODE_USED_UP = "code used up"
    CODE_USED_BY_CUSTOMER = "code used by customer"
    CODE_NEEDS_MORE_GOODS = "code needs more goods"
    CODE_TOO_MANY_TRIES = "code too many tries"  # it was not looked up; `quote` itself cannot know
    METHOD_NOT_OFFERED = "method not offered"
    NOT_DELIVERED_THERE = "not delivered there"
    WAY_TO_PAY_NOT_OFFERED = "way to pay not offered"  # `quote` itself cannot know
    PHONE_MISSING = "phone missing"  # the carrier asks for a number; `quote` itself cannot know

    @property
    def field(self) -> str:
        """The field of form and API that the refusal is about."""
        return {
            Refusal.METHOD_NOT_OFFERED: "delivery_method",
            Refusal.NOT_DELIVERED_THERE: "country",
            Refusal.PHONE_MISSING: "phone",
            Refusal.WAY_TO_PAY_NOT_OFFERED: "gateway",
        }.get(self, "code")


@dataclass(frozen=True, kw_only=True)
class QuotedLine:
    line: Line
    discount_minor: int
    tax_percent: Decimal
    tax_minor: int

    @property
    def paid_minor(self) -> int:
        """What is paid for the line, without the tax that is added."""
        return self.line.total_minor - self.discount_minor


@dataclass(frozen=True, kw_only=True)
class OfferedMethod:
    method: DeliveryMethod
    price_minor: int


@dataclass(frozen=True, kw_only=True)
class QuotedTax:
    """The tax of one percentage."""

    percent: Decimal
    net_minor: int
    tax_minor: int


@dataclass(frozen=True, kw_only=True)
class Quote:
    """What a purchase costs and why. With `refusals` it is shown, and never placed."""

    currency: str
    lines: tuple[QuotedLine, ...]
    code: DiscountCode | None  # the code that counts; None if there is none or it was refused
    discount_minor: int
    delivery: OfferedMethod | None  # None: nothing is delivered, or there is nothing to choose
    offered: tuple[OfferedMethod, ...]
    prices_include_tax: bool
    taxes: tuple[QuotedTax, ...]
    refusals: tuple[Refusal, ...]
    takes_codes: bool  # whether the shop has any code
    taxed_in: str  # the country whose rates count

    @property
    def goods_minor(self) -> int:
        return sum(quoted.line.total_minor for quoted in self.lines)

    @property
    def delivery_minor(self) -> int:
        return self.delivery.price_minor if self.delivery else 0

    @property
    def tax_minor(self) -> int:
        return sum(tax.tax_minor for tax in self.taxes)

    @property
    def total_minor(self) -> int:
        added = 0 if self.prices_include_tax else self.tax_minor
        return self.goods_minor - self.discount_minor + self.delivery_minor + added

    @property
    def is_delivered(self) -> bool:
        return any(quoted.line.is_delivered for quoted in self.lines)

    @property
    def digest(self) -> str:
        """Equal for quotes that say the same of every part."""
        parts = {
            "currency": self.currency,
            "lines": [asdict(quoted) for quoted in self.lines],
            "code": self.code.code if self.code else "",
            "discount": self.discount_minor,
            "delivery": [self.delivery.method.id, self.delivery_minor] if self.delivery else [],
            "included": self.prices_include_tax,
            "taxes": [asdict(tax) for tax in self.taxes],
        }
        written = json.dumps(parts, sort_keys=True, default=plain_percent)
        return hashlib.sha256(written.encode()).hexdigest()


def quote(
    lines: Sequence[Line], destination: Destination, delivery: str, code: str, rules: Rules
) -> Quote:
    """Work out what the lines cost, sent to the destination.

    `delivery` is the id of a method, or empty for the first that is offered. `code` is what was
    typed, in any capitals; `rules.code` is what was found for it. What cannot be had is left out of
    the quote and named in its refusals.
    """
    order = sorted(range(len(lines)), key=lambda n: lines[n].product_id)
    quoted = _quote([lines[n] for n in order], destination, delivery, code, rules)
    placed = dict(zip(order, quoted.lines, strict=True))
    return replace(quoted, lines=tuple(placed[n] for n in range(len(lines))))


def _quote(
    lines: Sequence[Line], destination: Destination, delivery: str, code: str, rules: Rules
) -> Quote:
    """The quote of lines in the order of their products."""
    refusals: list[Refusal] = []
    goods_minor = sum(line.total_minor for line in lines)
    if refused := _refusal_of_code(code, goods_minor, rules):
        refusals.append(refused)
    counted = rules.code if code and not refused else None
    discount_minor = _discount(goods_minor, counted)
    discounts = spread(discount_minor, [line.total_minor for line in lines])

    offered = _offered(lines, discounts, destination, counted, rules)
    chosen = next((each for each in offered if each.method.id == delivery), None)
    if offered and delivery and not chosen:
        refusals.append(Refusal.METHOD_NOT_OFFERED)
    if not offered and rules.has_delivery and any(line.is_delivered for line in lines):
        refusals.append(Refusal.NOT_DELIVERED_THERE)
    chosen = chosen or next(iter(offered), None)

    quoted, taxes = _taxed(lines, discounts, chosen, destination, rules)
    return Quote(
        currency=rules.currency,
        lines=quoted,
        code=counted,
        discount_minor=discount_minor,
        delivery=chosen,
        offered=offered,
        prices_include_tax=rules.prices_include_tax,
        taxes=taxes,
        refusals=tuple(refusals),
        takes_codes=rules.has_codes,
        taxed_in=(rules.origin or destination).country,
    )


def _refusal_of_code(typed: str, goods_minor: int, rules: Rules) -> Refusal | None:
    if not typed:
        return None
    code = rules.code
    if code is None or code.code != code_spelling(typed) or not code.is_on:
        return Refusal.CODE_UNKNOWN
    if code.starts_on and rules.today < code.starts_on:
        return Refusal.CODE_NOT_YET
    if code.ends_on and rules.today > code.ends_on:
        return Refusal.CODE_ENDED
    if code.uses_left is not None and code.uses_left <= 0:
        return Refusal.CODE_USED_UP
    if code.customer_uses_left is not None and code.customer_uses_left <= 0:
        return Refusal.CODE_USED_BY_CUSTOMER
    if goods_minor < code.least_goods_minor:
        return Refusal.CODE_NEEDS_MORE_GOODS
    return None


def _discount(goods_minor: int, code: DiscountCode | None) -> int:
    if code is None or code.kind is CodeKind.FREE_DELIVERY:
        return 0
    if code.kind is CodeKind.AMOUNT:
        return min(code.amount_minor, goods_minor)
    return min(half_up(goods_minor * Fraction(code.percent) / 100), goods_minor)


def _offered(
    lines: Sequence[Line],
    discounts: Sequence[int],
    destination: Destination,
    code: DiscountCode | None,
    rules: Rules,
) -> tuple[OfferedMethod, ...]:
    sent = [(line, less) for line, less in zip(lines, discounts, strict=True) if line.is_delivered]
    if not sent:
        return ()
    value_minor = sum(line.total_minor - less for line, less in sent)
    weight_grams = sum(line.quantity * line.weight_grams for line, _ in sent)
    is_free = code is not None and code.kind is CodeKind.FREE_DELIVERY
    return tuple(
        OfferedMethod(method=method, price_minor=0 if is_free else price_minor)
        for method in rules.methods
        if (
            price_minor := method.price_minor(
                destination.country, value_minor=value_minor, weight_grams=weight_grams
            )
        )
        is not None
    )


def _taxed(
    lines: Sequence[Line],
    discounts: Sequence[int],
    delivery: OfferedMethod | None,
    destination: Destination,
    rules: Rules,
) -> tuple[tuple[QuotedLine, ...], tuple[QuotedTax, ...]]:
    """The lines with their tax, and the tax of each percentage. What delivery bears of a tax is in
    the latter alone."""
    delivered_for = delivery.price_minor if delivery else 0
    delivery_class = delivery.method.tax_class if delivery else TaxClass.STANDARD
    amounts = [line.total_minor - less for line, less in zip(lines, discounts, strict=True)]
    amounts.append(delivered_for)
    percents = [rules.tax_percent(line.tax_class, destination) for line in lines]
    percents.append(rules.tax_percent(delivery_class, destination))

    shares = [0] * len(amounts)
    taxes = []
    for percent in sorted(set(percents), reverse=True):
        members = [n for n, each in enumerate(percents) if each == percent]
        amount = sum(amounts[n] for n in members)
        tax = _tax(amount, percent, is_included=rules.prices_include_tax)
        for n, share in zip(members, spread(tax, [amounts[n] for n in members]), strict=True):
            shares[n] = share
        if amount and percent:
            net = amount - tax if rules.prices_include_tax else amount
            taxes.append(QuotedTax(percent=percent, net_minor=net, tax_minor=tax))
    quoted = tuple(
        QuotedLine(line=line, discount_minor=less, tax_percent=percent, tax_minor=share)
        for line, less, percent, share in zip(lines, discounts, percents, shares, strict=False)
    )
    return quoted, tuple(taxes)


def _tax(amount: int, percent: Decimal, *, is_included: bool) -> int:
    rate = Fraction(percent) / 100
    return half_up(amount * rate / (1 + rate)) if is_included else half_up(amount * rate)
