"""Cancelling an order, and reviving one when its payment arrives after all."""

from collections.abc import Collection
from datetime import datetime

from django.conf import settings
from django.db import transaction

from checkout.catalogue.models import StockMovement
from checkout.catalogue.stock import OutOfStock, release_stock, reserve_stock
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import (
    DISPUTED,
    PAID_AFTER_CANCELLATION,
    PAID_AFTER_ERASURE,
    PAID_WITHOUT_ITS_CODE,
)
from checkout.orders.code_uses import CodeRefused, give_code_back, use_code_again
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.history import note, note_staff
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import Mail, Order, OutboxMessage
from checkout.orders.outbox.enqueue import publish_again
from checkout.orders.states import (
    EXPIRING,
    SENDABLE,
    WAS_SENT,
    Canceller,
    DispatchStatus,
    OrderStatus,
)
from checkout.orders.stock.holding import pieces_held
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.transitions import transition

# The words of the event that cancels the order.
REASONS = {
    Canceller.CUSTOMER: "Its customer had it cancelled",
    Canceller.STAFF: "Staff had it cancelled",
    Canceller.TIME: "Not paid in time",
}
REASONS_AFTER_IT_WAS_PAID = {who: f"{reason}, after it was paid" for who, reason in REASONS.items()}
REASONS_BEFORE_IT_WAS_CHARGED = {
    who: f"{reason}, before it was charged" for who, reason in REASONS.items()
}


def can_be_cancelled(order: Order) -> bool:
    """Only an order that waits for its customer: while it is being paid, its payment decides. What
    was sent before it could be charged is no longer here."""
    is_here = order.dispatch_status not in WAS_SENT
    return order.status in EXPIRING and is_here and not is_held_by_a_bank(order)


def is_held_by_a_bank(order: Order) -> bool:
    """Whether a bank disputes a charge that did not pay the order, and has yet to decide."""
    return bool(order.needs_person) and any(one.reason == DISPUTED for one in open_reasons(order))


def can_be_cancelled_by_staff(order: Order) -> bool:
    """Staff may also cancel an order that cost nothing: it has no payment that could decide."""
    return can_be_cancelled(order) or (order.is_free and order.status == OrderStatus.PAID)


def give_up(order: Order, *, now: datetime) -> bool:
    """Have the worker cancel an order for its customer, at the gateway first. If a payment wins
    that race, the order is paid. False when the order does not wait for its customer."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if not can_be_cancelled(current):
            return False
        note_canceller(order.pk, Canceller.CUSTOMER)
        if publish_again(order.pk, OutboxMessage.Kind.CANCEL_ORDER, now=now):
            note(order.pk, "Its customer asked to have it cancelled", now=now)
    return True


def note_canceller(order_id: int, who: Canceller) -> None:
    """Whoever asks first is named as the one who had it cancelled. Paying again takes that back."""
    Order.objects.filter(pk=order_id, cancelled_by="").update(cancelled_by=who)


def cancel_unpaid(order: Order, *, now: datetime) -> bool:
    """Cancel and release the stock, once. False when the order is paid, or is being paid again.

    Call this only when the gateway has said that no payment of the order can succeed any more.
    """
    with transaction.atomic():
        asked = Order.objects.select_for_update().get(pk=order.pk)
        if asked.dispatch_status in WAS_SENT:
            return False
        who = Canceller(asked.cancelled_by or Canceller.TIME)
        return _cancel(order, who, EXPIRING, reason=REASONS[who], now=now)


def cancel_authorised(order: Order, *, now: datetime) -> bool:
    """Cancel an order that `cancel_paid` has called off and whose price a bank kept for the shop,
    once the gateway has given that up. Nothing was charged, so nothing goes back."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if not current.is_cancelled_and_paid:
            return False
        who, sources = Canceller(current.cancelled_by), [OrderStatus.AUTHORISED]
        return _cancel(current, who, sources, reason=REASONS[who], now=now)


def cancel_free(order: Order, *, reason: str, now: datetime) -> bool:
    """Cancel an order that was paid with nothing, for staff. Its goods go back, so none of them may
    have been sent."""
    if not order.is_free:
        return False
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if current.dispatch_status in WAS_SENT:
            return False
        return _cancel(order, Canceller.STAFF, [OrderStatus.PAID], reason=reason, now=now)


def _cancel(
    order: Order, who: Canceller, sources: Collection[OrderStatus], *, reason: str, now: datetime
) -> bool:
    to = OrderStatus.CANCELLED
    if moved := transition(order.pk, to, sources=sources, reason=reason, now=now, cancelled_by=who):
        release_stock(pieces_held(order), order_id=order.pk)
        give_code_back(order.pk)
    return moved


class CannotCancel(ActionImpossible):
    """The order was not cancelled. `code` says why to programs: unpaid, sent, held or refunded."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def can_cancel_paid(order: Order) -> bool:
    """Whether `cancel_paid` would cancel the order, as far as can be told without a lock."""
    is_unsent = order.dispatch_status == DispatchStatus.UNSENT
    return order.status in SENDABLE and is_unsent and not (order.is_free or order.is_held)


def customer_can_cancel_paid(order: Order) -> bool:
    """The same, asked for by the order's customer: a shop may keep that to its staff."""
    return settings.CUSTOMERS_CANCEL_PAID and can_cancel_paid(order)


def cancel_paid(order: Order, who: Canceller, *, by: str, why: str, now: datetime) -> bool:
    """Cancel a paid order of which nothing was sent: nothing will be, its goods go on sale again,
    and the worker sends back all of its money, or gives up what a bank keeps for the shop. These
    are one transaction, and happen once.

    False where that was done before. `by` is empty where the customer asked. Raises `CannotCancel`.
    """
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if current.is_cancelled_and_paid:
            return False
        _must_be_cancellable(current)
        # The sweep asks again should the message be lost.
        Order.objects.filter(pk=current.pk).update(cancelled_by=who, sweep_at=next_sweep(now))
        call_off(current, restock=True, by=by, why=why, key=f"cancel-{current.reference}")
        is_charged = current.status != OrderStatus.AUTHORISED
        what = (REASONS_AFTER_IT_WAS_PAID if is_charged else REASONS_BEFORE_IT_WAS_CHARGED)[who]
        event = (
            note_staff(current.pk, what, by=by, why=why, now=now)
            if by
            else note(current.pk, what, now=now)
        )
        if is_charged:  # or a mail tells of it once nothing can be charged
            queue_mail(Mail.Kind.CALLED_OFF, event, now=now)
        publish_again(current.pk, OutboxMessage.Kind.CANCEL_ORDER, now=now)
    return True


def _must_be_cancellable(order: Order) -> None:
    if order.is_held:
        raise CannotCancel(
            "held",
            "The customer's bank disputes the charge or has taken the money back. What becomes of "
            "the order waits until the bank has decided.",
        )
    if order.dispatch_status in WAS_SENT:
        raise CannotCancel(
            "sent",
            "Something of this order has been sent. Take it in when it comes back, and send the "
            "money back then.",
        )
    if order.status == OrderStatus.REFUNDED:
        raise CannotCancel("refunded", "The money of this order has been sent back already.")
    if not can_cancel_paid(order):
        raise CannotCancel("unpaid", "Only a paid order of which something is to be sent can be.")


class CannotRevive(Exception):
    """The order stays cancelled. `reason` says why, as staff read it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def revive(order: Order, *, reason: str, now: datetime) -> None:
    """Revive a cancelled order that turns out to be paid. `CannotRevive` where its goods are sold
    by now, or the last use of its discount code went to somebody else."""
    if order.erased_at:  # nobody knows any more where its goods would go
        raise CannotRevive(PAID_AFTER_ERASURE)
    try:
        with transaction.atomic():
            if not transition(
                order.pk, OrderStatus.PAID, sources=[OrderStatus.CANCELLED], reason=reason, now=now
            ):
                raise CannotRevive(PAID_AFTER_CANCELLATION)
            reserve_stock(pieces_held(order), order_id=order.pk, kind=StockMovement.Kind.REVIVED)
            use_code_again(order.pk)
    except OutOfStock:
        raise CannotRevive(PAID_AFTER_CANCELLATION) from None
    except CodeRefused:
        raise CannotRevive(PAID_WITHOUT_ITS_CODE) from None
