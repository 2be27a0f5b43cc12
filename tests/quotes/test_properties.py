"""What is true of every quote. A valid question is always answered: `quote` raises nothing here."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from random import Random
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from checkout.quotes.quote import OfferedMethod, Quote, QuotedLine, QuotedTax, Refusal, quote
from checkout.quotes.rules import (
    CodeKind,
    DeliveryMethod,
    DeliveryPrice,
    Destination,
    DiscountCode,
    Line,
    Rules,
)
from tests.quotes.strategies import TODAY, Purchase, purchases

# A busy machine may take longer than Hypothesis expects of one example.
OFTEN = settings(max_examples=50, deadline=None)


@OFTEN
@given(purchases())
def test_total_is_the_sum_of_its_parts(purchase: Purchase) -> None:
    quoted = purchase.quote()

    goods = sum(line.quantity * line.unit_price_minor for line in purchase.lines)
    discount = sum(line.discount_minor for line in quoted.lines)
    delivery = quoted.delivery.price_minor if quoted.delivery else 0
    tax = sum(each.tax_minor for each in quoted.taxes)
    added = 0 if purchase.rules.prices_include_tax else tax
    assert quoted.total_minor == goods - discount + delivery + added >= 0
    assert (quoted.goods_minor, quoted.discount_minor) == (goods, discount)
    assert (quoted.delivery_minor, quoted.tax_minor) == (delivery, tax)


@OFTEN
@given(purchases())
def test_lines_are_those_that_were_asked_for_and_none_is_below_zero(purchase: Purchase) -> None:
    quoted = purchase.quote()

    assert tuple(each.line for each in quoted.lines) == purchase.lines
    for each in quoted.lines:
        assert 0 <= each.discount_minor <= each.line.total_minor
        assert 0 <= each.tax_minor <= each.paid_minor


@OFTEN
@given(purchases())
def test_tax_of_a_rate_is_rounded_once(purchase: Purchase) -> None:
    quoted = purchase.quote()

    for tax in quoted.taxes:
        amount = taxed_amount(purchase, quoted, tax)
        rate = Fraction(tax.percent) / 100
        is_included = purchase.rules.prices_include_tax
        exact = amount * rate / (1 + rate) if is_included else amount * rate
        assert Fraction(-1, 2) < tax.tax_minor - exact <= Fraction(1, 2)
        assert tax.net_minor == (amount - tax.tax_minor if is_included else amount)


@OFTEN
@given(purchases())
def test_lines_and_delivery_bear_the_tax_of_their_rate(purchase: Purchase) -> None:
    quoted = purchase.quote()

    rows = {tax.percent: tax.tax_minor for tax in quoted.taxes}
    assert len(rows) == len(quoted.taxes)
    of_lines = dict.fromkeys(rows, 0)
    for each in quoted.lines:
        if each.tax_percent in rows:
            of_lines[each.tax_percent] += each.tax_minor
        else:
            assert each.tax_minor == 0
            assert not (each.paid_minor and each.tax_percent)
    of_delivery = delivery_percent(purchase, quoted)
    for percent, tax in rows.items():
        left_for_delivery = tax - of_lines[percent]
        is_delivery_too = percent == of_delivery and quoted.delivery_minor
        assert 0 <= left_for_delivery <= (quoted.delivery_minor if is_delivery_too else 0)


def delivery_percent(purchase: Purchase, quoted: Quote) -> Decimal | None:
    if quoted.delivery is None:
        return None
    return purchase.rules.tax_percent(quoted.delivery.method.tax_class, purchase.destination)


def taxed_amount(purchase: Purchase, quoted: Quote, tax: QuotedTax) -> int:
    """What is paid for all that has this rate."""
    of_lines = sum(each.paid_minor for each in quoted.lines if each.tax_percent == tax.percent)
    has_delivery = delivery_percent(purchase, quoted) == tax.percent
    return of_lines + (quoted.delivery_minor if has_delivery else 0)


@OFTEN
@given(purchases())
def test_discount_is_what_the_code_gives_and_never_more_than_the_goods(purchase: Purchase) -> None:
    quoted = purchase.quote()

    goods = quoted.goods_minor
    match quoted.code:
        case DiscountCode(kind=CodeKind.AMOUNT, amount_minor=amount):
            assert quoted.discount_minor == min(amount, goods)
        case DiscountCode(kind=CodeKind.PERCENT, percent=percent):
            exact = goods * Fraction(percent) / 100
            assert Fraction(-1, 2) < quoted.discount_minor - exact <= Fraction(1, 2)
        case DiscountCode():
            assert quoted.discount_minor == quoted.delivery_minor == 0
        case None:
            assert quoted.discount_minor == 0


@OFTEN
@given(purchases())
def test_code_counts_or_its_refusal_is_named(purchase: Purchase) -> None:
    quoted = purchase.quote()

    about_code = [refusal for refusal in quoted.refusals if refusal.field == "code"]
    assert bool(purchase.code) == bool(about_code) + (quoted.code is not None)


@OFTEN
@given(purchases())
def test_a_method_is_chosen_wherever_one_is_offered(purchase: Purchase) -> None:
    quoted = purchase.quote()

    assert (quoted.delivery in quoted.offered) if quoted.offered else quoted.delivery is None
    chosen = quoted.delivery.method.id if quoted.delivery else ""
    is_other = bool(purchase.delivery and chosen and chosen != purchase.delivery)
    assert (Refusal.METHOD_NOT_OFFERED in quoted.refusals) == is_other
    goes_nowhere = purchase.rules.has_delivery and quoted.is_delivered and not quoted.offered
    assert (Refusal.NOT_DELIVERED_THERE in quoted.refusals) == goes_nowhere
    if not quoted.is_delivered:
        assert quoted.offered == ()


@OFTEN
@given(purchases(), st.randoms(use_true_random=False))
def test_same_question_has_the_same_answer(purchase: Purchase, random: Random) -> None:
    """Also when the rules were read in another order: they are told apart by what they are for."""
    rates, methods = [*purchase.rules.tax_rates], [*purchase.rules.methods]
    random.shuffle(rates)
    shuffled = tuple(
        replace(method, prices=tuple(random.sample(method.prices, len(method.prices))))
        for method in methods
    )
    rules = replace(purchase.rules, tax_rates=tuple(rates), methods=shuffled)

    first, again = purchase.quote(), purchase.quote()
    other = replace(purchase, rules=rules).quote()

    assert first == again
    assert first.digest == again.digest == other.digest
    assert first.total_minor == other.total_minor
    assert first.refusals == other.refusals


@OFTEN
@given(purchases(), st.randoms(use_true_random=False))
def test_same_goods_cost_the_same_in_whatever_order(purchase: Purchase, random: Random) -> None:
    lines = random.sample(purchase.lines, len(purchase.lines))

    quoted, other = purchase.quote(), replace(purchase, lines=tuple(lines)).quote()

    assert [each.line for each in other.lines] == lines
    assert set(other.lines) == set(quoted.lines)
    assert replace(other, lines=quoted.lines) == quoted


def test_cent_that_is_left_does_not_decide_about_the_delivery() -> None:
    """One cent off two equal lines, of which one is delivered, free from 1.00 on."""
    free_from = (
        DeliveryPrice(country="", below=100, price_minor=490),
        DeliveryPrice(country="", at_least=100, price_minor=0),
    )
    lines = (
        Line(product_id=1, quantity=1, unit_price_minor=100),
        Line(product_id=2, quantity=1, unit_price_minor=100, is_delivered=False),
    )
    rules = Rules(
        currency="EUR",
        today=TODAY,
        prices_include_tax=True,
        has_delivery=True,
        methods=(DeliveryMethod(id="1", name="Post", prices=free_from),),
        code=DiscountCode(code="CENT", kind=CodeKind.AMOUNT, amount_minor=1),
    )

    totals = {
        quote(each, Destination(country="DE"), "", "CENT", rules).total_minor
        for each in (lines, lines[::-1])
    }

    assert totals == {99 + 100 + 490}


@OFTEN
@given(purchases())
def test_code_may_be_typed_in_any_capitals(purchase: Purchase) -> None:
    typed = [purchase.code.lower(), purchase.code.upper(), purchase.code.title()]

    digests = {replace(purchase, code=code).quote().digest for code in typed}

    assert len(digests) == 1


@OFTEN
@given(purchases())
def test_digest_is_the_same_however_a_percentage_is_written(purchase: Purchase) -> None:
    written = tuple(
        replace(rate, percent=rate.percent.quantize(Decimal("0.001")))
        for rate in purchase.rules.tax_rates
    )

    other = replace(purchase, rules=replace(purchase.rules, tax_rates=written))

    assert purchase.quote().digest == other.quote().digest


CHANGES: dict[str, Callable[[Quote], Quote]] = {
    "currency": lambda q: replace(q, currency="CHF"),
    "line": lambda q: replace(q, lines=(*q.lines, q.lines[0]) if q.lines else q.lines),
    "line's discount": lambda q: replace(q, lines=_first(q, "discount_minor")),
    "line's tax": lambda q: replace(q, lines=_first(q, "tax_minor")),
    "line's percentage": lambda q: replace(q, lines=_first(q, "tax_percent")),
    "code": lambda q: replace(q, code=DiscountCode(code="OTHER", kind=CodeKind.AMOUNT)),
    "discount": lambda q: replace(q, discount_minor=q.discount_minor + 1),
    "method": lambda q: replace(q, delivery=_delivery("other", q.delivery_minor)),
    "delivery price": lambda q: replace(
        q,
        delivery=_delivery(q.delivery.method.id if q.delivery else "other", q.delivery_minor + 1),
    ),
    "rule": lambda q: replace(q, prices_include_tax=not q.prices_include_tax),
    "tax": lambda q: replace(
        q, taxes=(*q.taxes, QuotedTax(percent=Decimal(1), net_minor=100, tax_minor=1))
    ),
}


def _first(quoted: Quote, name: str) -> tuple[QuotedLine, ...]:
    """The lines with one more in this field of the first."""
    if not quoted.lines:
        return ()
    first, *others = quoted.lines
    more: dict[str, Any] = {name: getattr(first, name) + 1}
    return (replace(first, **more), *others)


def _delivery(method: str, price_minor: int) -> OfferedMethod:
    return OfferedMethod(method=DeliveryMethod(id=method, name=""), price_minor=price_minor)


@OFTEN
@given(part=st.sampled_from([*CHANGES]), purchase=purchases())
def test_digest_differs_when_a_part_does(part: str, purchase: Purchase) -> None:
    quoted = purchase.quote()

    changed = CHANGES[part](quoted)

    assert (changed.digest == quoted.digest) == (changed == quoted)
