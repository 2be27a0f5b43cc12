"""Why an order is not finished: until it is, its customer's data is needed to finish it."""

from datetime import timedelta

from django.db.models import Q

from checkout.orders.mail.address import has_address
from checkout.orders.models import Order, Withdrawal
from checkout.orders.states import (
    EXPIRING,
    SENDABLE,
    TO_SEND,
    UNSETTLED,
    DispatchStatus,
    OrderStatus,
)
from checkout.runtime.clock import database_now

# An order from before dispatch was recorded does not tell whether it was sent. By then it was.
SENT_BY_NOW = timedelta(days=30)


def why_unfinished(order: Order) -> list[str]:
    """The reasons that orders know of; `payments` adds those of its refunds and disputes."""
    reasons = [_of_payment(order), _of_dispatch(order), _of_money(order)]
    if order.needs_person or order.attention.filter(resolved_at=None).exists():
        reasons.append("a person must look at it")
    if _has_open_withdrawal(order):
        reasons.append("its customer has withdrawn, and nobody has decided")
    return [reason for reason in reasons if reason]


def _has_open_withdrawal(order: Order) -> bool:
    """One that was stated a moment ago is not known to belong to the order yet."""
    not_taken_up = Q(has_address(order.email), order=None, number=order.number)
    stated = Withdrawal.objects.filter(Q(order=order) | not_taken_up)
    return stated.filter(status=Withdrawal.Status.STATED).exists()


def _of_payment(order: Order) -> str:
    if order.status in EXPIRING:
        return "it waits for its customer to pay"
    if order.status == OrderStatus.AUTHORISED:
        return "its customer's bank keeps the money that is charged when it is sent"
    return "its payment is under way" if order.status in UNSETTLED else ""


def _of_dispatch(order: Order) -> str:
    if order.status not in SENDABLE:
        return ""
    if order.dispatch_status in TO_SEND:
        return "it is paid and not sent"
    is_recorded = order.dispatch_status != DispatchStatus.NOT_RECORDED
    if is_recorded or database_now() - order.placed_at >= SENT_BY_NOW:
        return ""
    return f"nobody wrote down whether it was sent, and it is younger than {SENT_BY_NOW.days} days"


def _of_money(order: Order) -> str:
    """A paid order that was cancelled stays paid until its refund has succeeded."""
    is_cancelled = order.cancelled_by and order.status in SENDABLE
    return "it is cancelled, and its money is on its way back" if is_cancelled else ""
