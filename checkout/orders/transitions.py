"""The one door through which an order changes its status."""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import UNSETTLED, OrderStatus, sources_of


def transition(order_id: int, to: OrderStatus, *, reason: str, now: datetime) -> bool:
    """Move the order, and write down why, in one transaction.

    False means that the order is not where such a move starts: another process was first, or the
    order is final. That is a normal answer; the caller looks again, or leaves it.
    """
    with transaction.atomic(savepoint=False):
        for source in sources_of(to):
            # The WHERE is the guard: of two processes only one finds the row in this status.
            moved = Order.objects.filter(pk=order_id, status=source).update(
                status=to, sweep_at=next_sweep(now) if to in UNSETTLED else None
            )
            if moved:
                record_transition(order_id, source, to, reason=reason, now=now)
                return True
    return False


def record_transition(
    order_id: int, source: OrderStatus | None, to: OrderStatus, *, reason: str, now: datetime
) -> None:
    OrderEvent.objects.create(
        order_id=order_id,
        kind=OrderEvent.Kind.TRANSITION,
        from_status=source or "",
        to_status=to,
        reason=reason,
        created_at=now,
    )


def next_sweep(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.SWEEP_AFTER_SECONDS)
