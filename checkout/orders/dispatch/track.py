"""Orders of a release that did not write down what was sent are put on the list of what is to be
sent. A person says since when nothing was sent."""

from collections.abc import Iterator
from datetime import datetime

from django.db import transaction
from django.db.models import QuerySet

from checkout.orders.dispatch.pieces import dispatch_status_of
from checkout.orders.history import note_staff
from checkout.orders.models import Order, OrderLine
from checkout.orders.states import SENDABLE, DispatchStatus

# Each batch is a transaction of its own, short enough for nobody to wait for it.
BATCH = 200


def not_recorded_since(since: datetime) -> "QuerySet[Order]":
    """Paid orders of which nobody wrote down what was sent. Of those with goods that were put back
    on sale it is known that they were sent, so they are left as they are."""
    old = Order.objects.filter(
        status__in=SENDABLE, dispatch_status=DispatchStatus.NOT_RECORDED, placed_at__gte=since
    )
    return old.exclude(lines__shipped__gt=0).order_by("id")


def track_dispatch(since: datetime, *, by: str, now: datetime) -> Iterator[int]:
    """Put them on the list, and yield how many were so far. It may be stopped and repeated."""
    done, last = 0, 0
    while batch := list(
        not_recorded_since(since).filter(pk__gt=last).values_list("pk", flat=True)[:BATCH]
    ):
        last = batch[-1]
        done += _track(batch, by=by, now=now)
        yield done


def _track(batch: list[int], *, by: str, now: datetime) -> int:
    with transaction.atomic():
        # What was sent or refunded since is not looked at again: the lock waits for it.
        old = (
            Order.objects.select_for_update()
            .order_by("pk")
            .filter(pk__in=batch, status__in=SENDABLE, dispatch_status=DispatchStatus.NOT_RECORDED)
        )
        orders = {order.pk: order for order in old}
        # That release did not write down which lines are delivered at all.
        not_delivered = OrderLine.objects.filter(order__in=orders, product__is_delivered=False)
        not_delivered.update(is_delivered=False)
        lines: dict[int, list[OrderLine]] = {pk: [] for pk in orders}
        for line in OrderLine.objects.filter(order__in=orders):
            lines[line.order_id].append(line)
        for pk in orders:
            status = dispatch_status_of(lines[pk])
            Order.objects.filter(pk=pk).update(dispatch_status=status)
            what = "Nothing was written down as sent: put on the list of what is to be sent"
            note_staff(pk, what, by=by, why="", now=now)
    return len(orders)
