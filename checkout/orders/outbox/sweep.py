"""Orders that should have moved and have not: asked about again, or given up.

Nothing here talks to SQS or the gateway; what is decided goes out through the outbox.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, OuterRef
from django.db.models.functions import Least

from checkout.orders.attention.queries import open_rows
from checkout.orders.attention.reasons import DISPUTED
from checkout.orders.history import record_event
from checkout.orders.mail.enqueue import mail_who_waits_long
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.outbox.enqueue import publish_again
from checkout.orders.pausing import is_paused
from checkout.orders.states import UNSETTLED, WAITS_FOR_OTHERS, WAS_SENT, OrderStatus
from checkout.orders.sweep_schedule import next_look_at_bank, next_sweep
from checkout.orders.ways_to_pay.web_side import web_side_of

EXPIRE_AGAIN = timedelta(hours=1)

AT_MOST = 500

READ = [
    *("pk", "status", "status_changed_at", "gateway"),
    *("authorised_until", "cancelled_by", "dispatch_status"),
]


def sweep(*, now: datetime) -> int:
    """Publish again what should have moved and has not; how many orders that were.

    SQS may have lost its message, or a person purged the queue. The order itself knows when it
    must be looked at, so everything can be rebuilt from the database at any time. An order that
    waits for its customer or their bank is asked about too, but was not forgotten: that is no event
    of it.
    """
    with transaction.atomic():
        due = list(
            Order.objects.select_for_update(skip_locked=True)
            .filter(sweep_at__lte=now)
            .order_by("sweep_at")
            .only(*READ)[:AT_MOST]
        )
        at_bank = [order for order in due if _waits_for_others(order)]
        forgotten = [order for order in due if not _waits_for_others(order)]
        for order in at_bank:
            order.sweep_at = _next_look(order, now)
        Order.objects.bulk_update(at_bank, ["sweep_at"])
        Order.objects.filter(pk__in=[order.pk for order in forgotten]).update(
            sweep_at=next_sweep(now)
        )
        mail_who_waits_long(forgotten, now=now)
        if is_paused():  # they wait on purpose
            return 0
        for order in at_bank:
            publish_again(order.pk, _question_about(order), now=now)
        return sum(
            ask_again(
                order.pk,
                _question_about(order),
                reason=f"No outcome after {settings.SWEEP_AFTER_SECONDS:g} s, published again",
                now=now,
            )
            for order in forgotten
        )


def _waits_for_others(order: Order) -> bool:
    return order.status in WAITS_FOR_OTHERS or order.authorised_until is not None


def _question_about(order: Order) -> OutboxMessage.Kind:
    """What the worker is asked about an order that should have moved."""
    if order.authorised_until is not None:
        is_cancelled = order.is_cancelled_and_paid
        return OutboxMessage.Kind.CANCEL_ORDER if is_cancelled else OutboxMessage.Kind.CAPTURE
    is_unsettled = order.status in UNSETTLED
    return OutboxMessage.Kind.SETTLE_PAYMENT if is_unsettled else OutboxMessage.Kind.REFUND


def _next_look(order: Order, now: datetime) -> datetime:
    """An order that is asked about once a day is asked about soon again until a worker has done so
    and puts it off: this question may be lost too."""
    is_seldom = order.authorised_until is not None or order.status == OrderStatus.PROMISED
    if is_seldom or web_side_of(order).asks_every:
        return next_sweep(now)
    return next_look_at_bank(order.status_changed_at, now)


def expire_unpaid(*, now: datetime) -> int:
    """Have the worker cancel what its customers gave up; how many orders that were.

    Only the worker can make sure first, at the gateway, that the payment can never succeed.
    """
    with transaction.atomic():
        expired = list(
            Order.objects.select_for_update(skip_locked=True)
            .filter(expires_at__lte=now)
            .exclude(dispatch_status__in=WAS_SENT)
            .exclude(Exists(open_rows().filter(order=OuterRef("pk"), reason=DISPUTED)))
            .order_by("expires_at")
            .values_list("pk", flat=True)[:AT_MOST]
        )
        # Should this message be lost, the next one goes out an hour from now.
        Order.objects.filter(pk__in=expired).update(expires_at=now + EXPIRE_AGAIN)
        for order_id in expired:
            ask_again(
                order_id,
                OutboxMessage.Kind.CANCEL_ORDER,
                reason="Not paid in time, to be cancelled",
                now=now,
            )
    return len(expired)


def look_soon(order_id: int, *, now: datetime) -> None:
    """There is news of an order about which nobody would ask for a day. The queue may lose the
    question. The time changes in any case, so that `put_off_look` knows of the news."""
    sooner = Least(F("sweep_at") - timedelta(microseconds=1), next_sweep(now))
    unsettled = Order.objects.filter(pk=order_id, status__in=UNSETTLED)
    unsettled.filter(sweep_at__isnull=False).update(sweep_at=sooner)


def put_off_look(order: Order, *, until: datetime) -> bool:
    """The gateway has told nothing new about this order, given as it was read before the gateway
    was asked. False: there was news meanwhile, and the order is looked at as soon as before."""
    as_read = Order.objects.filter(pk=order.pk, sweep_at=order.sweep_at)
    return bool(as_read.filter(sweep_at__isnull=False).update(sweep_at=until))


def put_off_sweep(order_id: int, *, now: datetime) -> None:
    """The order was just published by hand, so the sweep need not do it soon."""
    swept = Order.objects.filter(pk=order_id, sweep_at__isnull=False)
    swept.update(sweep_at=next_sweep(now))


def ask_again(order_id: int, kind: OutboxMessage.Kind, *, reason: str, now: datetime) -> bool:
    """Publish again, and write that into the order's history. False where a message waits."""
    if not publish_again(order_id, kind, now=now):
        return False
    record_event(order_id, OrderEvent.Kind.SWEPT, reason, now=now)
    return True
