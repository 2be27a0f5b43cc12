"""Sending back the price of single pieces, and of delivery.

What pieces cost is worked out from their order. What was not sent of them is called off in the same
transaction, so that nothing is sent whose price was sent back.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import Sum

from checkout.catalogue.amounts import limits_of
from checkout.catalogue.money import money, show_money
from checkout.orders.dispatch.call_off import call_off, put_on_sale
from checkout.orders.dispatch.pieces import in_words, move_pieces
from checkout.orders.models import Order, OrderLine
from checkout.orders.states import DispatchStatus
from payments.models import Payment, Refund, RefundLine
from payments.refunds import (
    RefundImpossible,
    have_it_sent,
    must_be_refundable,
    must_not_be_disputed,
    refundable_minor,
    reserve,
)
from payments.settling.lock_order import lock_order


@dataclass(frozen=True)
class RefundedPieces:
    """The price of so many pieces of a line goes back, and so many of them go on sale again."""

    pieces: int
    restock: int = 0


# Line id → pieces.
Wanted = Mapping[int, RefundedPieces]


def cost_minor(order: Order, line: OrderLine) -> int:
    """What the whole line cost: its price less its share of the discount, with its tax."""
    added = 0 if order.prices_include_tax else line.tax_minor
    return line.total_minor - line.discount_minor + added


def price_minor(order: Order, line: OrderLine, pieces: int) -> int:
    """What the next pieces of a line give back. The units that cannot be divided go with its last
    piece, so all of its pieces together give back what the line cost."""
    whole, step = cost_minor(order, line), _step_minor(order.currency, order.gateway)
    each = whole // line.quantity // step * step

    def cost_of(count: int) -> int:
        return whole if count == line.quantity else count * each

    return cost_of(line.refunded + pieces) - cost_of(line.refunded)


def delivery_left_minor(order: Order) -> int:
    """What delivery cost with its tax, less what was asked back of that before."""
    cost = order.delivery_minor
    if not order.prices_include_tax:
        cost += order.tax_minor - sum(line.tax_minor for line in order.lines.all())
    refunds = Refund.objects.filter(payment__order=order)
    return cost - (refunds.aggregate(total=Sum("delivery_minor"))["total"] or 0)


def worth_minor(payment: Payment, wanted: Wanted, *, delivery_minor: int) -> int:
    """How much would go back: never more than what is left of the charge, in the gateway's steps.
    Raises `RefundImpossible` where these pieces cannot be refunded."""
    order = payment.order
    lines = {line.pk: line for line in order.lines.all()}
    _must_be_possible(payment, order, lines, wanted, delivery_minor)
    priced = (price_minor(order, lines[line_id], each.pieces) for line_id, each in wanted.items())
    worth = min(sum(priced) + delivery_minor, refundable_minor(payment))
    return worth - worth % _step_minor(payment.currency, payment.gateway)


def refund_lines(
    payment: Payment,
    wanted: Wanted,
    *,
    delivery_minor: int = 0,
    shown_minor: int | None = None,
    reason: str,
    requested_by: User | None,
    key: str,
    now: datetime,
) -> Refund:
    """Send the price of pieces back, and so much for delivery. Two requests under one key are one
    refund. `shown_minor` is the amount that a page showed: no other one is sent.

    Of a line, those pieces are taken first that are not with the customer and will not be; then
    those that were not sent, which are called off; then those that the customer keeps.
    """
    wanted = {line_id: each for line_id, each in wanted.items() if each.pieces or each.restock}
    by = requested_by.get_username() if requested_by else ""
    with transaction.atomic():
        lock_order(payment)
        payment = (
            Payment.objects.select_for_update(of=["self"])
            .select_related("order")
            .get(pk=payment.pk)
        )
        if earlier := payment.refunds.filter(key=key).first():
            _must_be_the_same(earlier, wanted, delivery_minor)
            return earlier
        must_not_be_disputed(payment.order_id)
        amount_minor = worth_minor(payment, wanted, delivery_minor=delivery_minor)
        must_be_refundable(payment, amount_minor)
        _must_be_as_shown(payment, amount_minor, shown_minor)
        refund = reserve(
            payment,
            amount_minor=amount_minor,
            delivery_minor=delivery_minor,
            reason=reason,
            requested_by=requested_by,
            key=key,
            now=now,
        )
        RefundLine.objects.bulk_create(
            RefundLine(refund=refund, line_id=line_id, quantity=each.pieces)
            for line_id, each in wanted.items()
        )
        what = _take_pieces(payment.order, wanted, by=by, why=reason, key=key)
        have_it_sent(refund, by=by, why=reason, now=now, what=what)
    return refund


def to_call_off(order: Order, line: OrderLine, pieces: int) -> int:
    """How many of the next refunded pieces are still to be sent, and will not be."""
    if order.dispatch_status == DispatchStatus.NOT_RECORDED:
        return 0  # for all that is known they were sent
    not_with_the_customer = max(0, line.called_off + line.returned - line.refunded)
    unsent = line.quantity - line.shipped - line.called_off
    return min(max(0, pieces - not_with_the_customer), unsent)


def _take_pieces(order: Order, wanted: Wanted, *, by: str, why: str, key: str) -> str:
    """Count the pieces as refunded. Returns them in words for the order's history."""
    lines = {line.pk: line for line in order.lines.all()}
    unsent = {
        line_id: to_call_off(order, lines[line_id], each.pieces) for line_id, each in wanted.items()
    }
    call_off(order, unsent, restock=False, by=by, why=why, key=key)
    refunded = {line_id: each.pieces for line_id, each in wanted.items()}
    on_sale = {line_id: each.restock for line_id, each in wanted.items() if each.restock}
    move_pieces(order.pk, refunded=refunded, put_back=on_sale)
    put_on_sale(order, on_sale, lines.values(), by=by, why=why, key=key)
    words = f": {in_words(refunded, lines.values())}" if refunded else ""
    return f"{words}; on sale again: {in_words(on_sale, lines.values())}" if on_sale else words


def _must_be_possible(
    payment: Payment,
    order: Order,
    lines: Mapping[int, OrderLine],
    wanted: Wanted,
    delivery_minor: int,
) -> None:
    if payment.is_surplus:
        raise RefundImpossible("This charge paid for no pieces: send all of it back as an amount.")
    if not (wanted or delivery_minor):
        raise RefundImpossible("Nothing was sent back. Say how many pieces, or delivery.")
    if not 0 <= delivery_minor <= delivery_left_minor(order):
        raise RefundImpossible("Delivery was sent back before, or did not cost that much.")
    for line_id, each in wanted.items():
        if line_id not in lines:
            raise RefundImpossible("Nothing was sent back. This order has no such line.")
        _must_be_there(order, lines[line_id], each)


def _must_be_there(order: Order, line: OrderLine, each: RefundedPieces) -> None:
    left = line.quantity - line.refunded
    if not 0 < each.pieces <= left:
        raise RefundImpossible(
            f"Of {line.sku} the price of {left} pieces is left to be sent back, of "
            f"{line.quantity}. Nothing was sent back."
        )
    unsent = to_call_off(order, line, each.pieces)
    here = line.called_off + unsent + line.returned - line.put_back
    if not 0 <= each.restock <= min(each.pieces, here):
        raise RefundImpossible(
            f"Of {line.sku} {min(each.pieces, here)} of these pieces can be put back on sale: "
            "the others are with the customer, or on sale again already. Where they came back, "
            "take the return in first. Nothing was sent back."
        )


def _must_be_the_same(earlier: Refund, wanted: Wanted, delivery_minor: int) -> None:
    before = dict(earlier.lines.values_list("line_id", "quantity"))
    asked = {line_id: each.pieces for line_id, each in wanted.items()}
    if before != asked or earlier.delivery_minor != delivery_minor:
        raise RefundImpossible(
            "This form was sent before with something else in it, and that was sent back. Open the "
            "page again to send more back."
        )


def _must_be_as_shown(payment: Payment, amount_minor: int, shown_minor: int | None) -> None:
    if shown_minor not in {None, amount_minor}:
        now_it_is = show_money(money(amount_minor, payment.currency))
        raise RefundImpossible(
            f"Nothing was sent back: the amount has become {now_it_is} while this page was open. "
            "Press the button once more if that is right."
        )


def _step_minor(currency: str, gateway: str) -> int:
    limits = limits_of(currency, gateway)
    return limits.step_minor if limits else 1
