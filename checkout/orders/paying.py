"""Paying for an order with another card, after a decline or instead of the bank's question."""

from datetime import datetime, timedelta

from django.db import transaction

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.sweep import ask_again
from checkout.orders.states import EXPIRING, OrderStatus
from checkout.orders.transitions import transition

# However often the page of a customer's return is reloaded, the gateway is asked only this often.
RETURN_PAUSE = timedelta(seconds=10)


def pay_again(
    order: Order, *, gateway: str, payment_method: str, failed_round: int | None, now: datetime
) -> bool:
    """Open a new payment round on the same order.

    `failed_round` is the round whose end the shopper was shown: when the same form is sent again,
    it finds a later round and changes nothing. False when there is nothing to pay again. The
    worker closes the earlier round at the gateway before it opens this one.
    """
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if failed_round is not None and current.payment_round != failed_round:
            return False  # the form was sent twice
        reopened = transition(
            order.pk,
            OrderStatus.PLACED,
            sources=EXPIRING,
            reason="The customer pays with another method",
            now=now,
            payment_round=current.payment_round + 1,
            gateway=gateway,
            payment_method=payment_method,
            cancelled_by="",
        )
        if not reopened:  # paid or cancelled meanwhile
            return False
        ask(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=now)
    return True


def can_pay_again(order: Order, *, failed_round: int | None) -> bool:
    """Whether `pay_again` would open a new round, as far as can be told without a lock."""
    return order.status in EXPIRING and failed_round in (None, order.payment_round)


def check_on_return(order: Order, *, now: datetime) -> bool:
    """Have the gateway asked at once when a customer comes back from their bank. What the address
    of their return says is only a hint."""
    if order.status != OrderStatus.ACTION_REQUIRED:
        return False
    check = OutboxMessage.Kind.CHECK_PAYMENT
    just_asked = order.outbox_messages.filter(kind=check, available_at__gt=now - RETURN_PAUSE)
    if just_asked.exists():
        return False
    return ask_again(order.pk, check, reason="The customer came back from their bank", now=now)
