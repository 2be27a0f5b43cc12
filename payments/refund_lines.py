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

from checkout.catalogue.money import money, show_money
from checkout.orders.dispatch.call_off import call_off, put_on_sale
from checkout.orders.dispatch.pieces import in_words, move_pieces
from checkout.orders.models import Order, OrderLine
from checkout.orders.states import DispatchStatus, OrderStatus
from payments.capturing.parcels import never_charged_minor
from payments.models import Payment, Refund, RefundLine
from payments.prices import delivery_cost_minor, pieces_cost_minor, step_minor
from payments.refunds import (
    RefundImpossible,
    have_it_sent,
    must_be_refundable,
    must_not_be_disputed,
    refundable_minor,
    reserve,
)
from payments.settling.lock_order import lock_order
from payments.states import CAPTURABLE


@dataclass(frozen=True)
class RefundedPieces:
    """The price of so many pieces of a line goes back, and so many of them go on sale again."""

    pieces: int
    restock: int = 0


# Line id → pieces.
Wanted = Mapping[int, RefundedPieces]


def price_minor(order: Order, line: OrderLine, pieces: int) -> int:
    """What the next pieces of a line give back. The units that cannot be divided go with its last
    piece, so all of its pieces together give back what the line cost."""
    before = pieces_cost_minor(order, line, line.refunded)
    return pieces_cost_minor(order, line, line.refunded + pieces) - before


def delivery_left_minor(order: Order) -> int:
    """What delivery cost with its tax, less what was asked back of that before."""
    cost = delivery_cost_minor(order, order.lines.all())
    refunds = Refund.objects.filter(payment__order=order)
    return cost - (refunds.aggregate(total=Sum("delivery_minor"))["total"] or 0)


@dataclass(frozen=True)
class Worth:
    amount_minor: int
    is_release: bool  # the bank keeps it, and it is only not charged


def worth(payment: Payment, wanted: Wanted, *, delivery_minor: int) -> Worth:
    """What the pieces and delivery give back: never more than what is left of the charge, in the
    gateway's steps. Raises `RefundImpossible` where these pieces cannot be refunded."""
    order = payment.order
    lines = {line.pk: line for line in order.lines.all()}
    _must_be_possible(payment, order, lines, wanted, delivery_minor)
    priced = (price_minor(order, lines[line_id], each.pieces) for line_id, each in wanted.items())
    cost_of_all = sum(priced) + delivery_minor
    cost_of_all -= cost_of_all % step_minor(payment.currency, payment.gateway)
    not_charged = _never_charged_minor(payment, order, lines, wanted)
    if 0 < not_charged < cost_of_all:
        raise RefundImpossible(
            "Nothing was sent back. A part of this was charged and the rest was not, since it was "
            "not sent. Ask for what was not sent first, and then for the rest."
        )
    if not_charged:
        return Worth(cost_of_all, is_release=True)
    return Worth(min(cost_of_all, refundable_minor(payment)), is_release=False)


def _never_charged_minor(
    payment: Payment, order: Order, lines: Mapping[int, OrderLine], wanted: Wanted
) -> int:
    """How much need not be charged, of what the customer's bank keeps for the shop."""
    is_kept = payment.captures_later and payment.status in CAPTURABLE
    if not is_kept or not payment.rest_minor:
        return 0
    unsent = {
        line_id: to_call_off(order, lines[line_id], each.pieces) for line_id, each in wanted.items()
    }
    return never_charged_minor(payment, order, unsent)


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
        asked = worth(payment, wanted, delivery_minor=delivery_minor)
        amount_minor = asked.amount_minor
        if asked.is_release:
            _must_leave_something_to_send(payment.order, wanted)
        else:
            must_be_refundable(payment, amount_minor)
        _must_be_as_shown(payment, amount_minor, shown_minor)
        refund = reserve(
            payment,
            amount_minor=amount_minor,
            delivery_minor=delivery_minor,
            is_release=asked.is_release,
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


def _must_leave_something_to_send(order: Order, wanted: Wanted) -> None:
    """An order of which nothing was charged and nothing is sent is no order any more."""
    left = sum(
        line.to_send - to_call_off(order, line, wanted[line.pk].pieces if line.pk in wanted else 0)
        for line in order.lines.all()
        if line.is_delivered
    )
    if (
        order.status == OrderStatus.AUTHORISED
        and order.dispatch_status == DispatchStatus.UNSENT
        and not left
    ):
        raise RefundImpossible(
            "Nothing of this order was charged yet, and then nothing would be sent. Cancel the "
            "order instead."
        )


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
    if order.status == OrderStatus.AUTHORISED and order.is_cancelled_and_paid:
        raise RefundImpossible(
            "This order is being cancelled. Nothing of it was charged or will be, so there is "
            "nothing to send back."
        )
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
