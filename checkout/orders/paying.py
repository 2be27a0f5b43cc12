"""Paying again for an order whose payment was declined."""

from datetime import datetime

from django.db import transaction
from django.db.models import F

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import next_sweep, record_transition


def pay_again(
    order: Order, *, payment_method: str, failed_round: int | None, now: datetime
) -> bool:
    """Open a new payment round on the same order, with another card.

    `failed_round` is the round whose decline the shopper was shown: a repeat of the same press
    finds a later round and changes nothing. False when there is nothing to pay again.
    """
    declined = Order.objects.filter(pk=order.pk, status=OrderStatus.PAYMENT_FAILED)
    if failed_round is not None:
        declined = declined.filter(payment_round=failed_round)
    with transaction.atomic():
        reopened = declined.update(
            status=OrderStatus.PLACED,
            payment_round=F("payment_round") + 1,
            payment_method=payment_method,
            sweep_at=next_sweep(now),
        )
        if not reopened:  # pressed twice, or paid meanwhile
            return False
        record_transition(
            order.pk,
            OrderStatus.PAYMENT_FAILED,
            OrderStatus.PLACED,
            reason="The customer pays again with another method",
            now=now,
        )
        OutboxMessage.objects.create(
            order=order, kind=OutboxMessage.Kind.SETTLE_PAYMENT, available_at=now
        )
    return True
