"""Every change of an order's status is made here."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from checkout.orders.history import record_event
from checkout.orders.mail.enqueue import queue_mail_about, queue_mail_to_the_shop
from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import EXPIRING, PAID_FOR, OrderStatus, sources_of
from checkout.orders.sweep_schedule import first_sweep
from checkout.orders.webhooks.enqueue import queue_webhooks, webhook_about


def transition(
    order_id: int,
    to: OrderStatus,
    *,
    reason: str,
    now: datetime,
    sources: Collection[OrderStatus] | None = None,
    **changes: str | int | datetime | None,
) -> bool:
    """Move the order, and write down why, in one transaction.

    False means that the order is not where such a move starts: another process was first, or the
    order is final. That is a normal answer; the caller looks again, or leaves it. `sources` allows
    fewer starts than the table does. `changes` are fields that change with the status.
    """
    with transaction.atomic(savepoint=False):
        for source in sources_of(to):
            if sources is not None and source not in sources:
                continue
            # The WHERE is the guard: of two processes only one finds the row in this status.
            moved = Order.objects.filter(pk=order_id, status=source).update(
                status=to,
                status_changed_at=now,
                **(_follow_ups(to, now) | _wish_is_over(source, to) | changes),
            )
            if moved:
                record_transition(order_id, source, to, reason=reason, now=now)
                return True
    return False


# No bank keeps money for an order that comes into one of these states.
NOTHING_SET_ASIDE = (OrderStatus.PLACED, OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED)


def _follow_ups(to: OrderStatus, now: datetime) -> dict[str, datetime | str | int | None]:
    expiry = timedelta(seconds=settings.UNPAID_ORDER_EXPIRES_SECONDS)
    return {
        "sweep_at": first_sweep(to, now),
        "expires_at": now + expiry if to in EXPIRING else None,
        "action_url": "",
        **({"authorised_until": None} if to in NOTHING_SET_ASIDE else {}),
    }


def _wish_is_over(source: OrderStatus, to: OrderStatus) -> dict[str, datetime | str | int | None]:
    """Whoever wanted the order cancelled did not get it where its payment was faster. A refund that
    comes back changes nothing of who had it cancelled, and neither does a charge of what a bank had
    set aside: such an order is cancelled like a paid one."""
    is_newly_paid = to in PAID_FOR and source not in {*PAID_FOR, OrderStatus.AUTHORISED}
    return {"cancelled_by": ""} if is_newly_paid else {}


def record_transition(
    order_id: int,
    source: OrderStatus | None,
    to: OrderStatus,
    *,
    reason: str,
    now: datetime,
    is_mailed: bool = True,
) -> None:
    kind, before = OrderEvent.Kind.TRANSITION, source or ""
    event = record_event(order_id, kind, reason, now=now, from_status=before, to_status=to)
    if is_mailed:
        queue_mail_about(source, to, event, now=now)
        queue_mail_to_the_shop(order_id, source, to, now=now)
    if webhook := webhook_about(source, to):
        queue_webhooks(webhook, event, now=now)


def pay_with_nothing(order: Order, *, now: datetime) -> bool:
    """Pay an order that costs nothing, without the gateway. False when somebody was first."""
    return order.is_free and transition(
        order.pk,
        OrderStatus.PAID,
        sources=[OrderStatus.PLACED],
        reason="Nothing was to be paid",
        now=now,
    )
