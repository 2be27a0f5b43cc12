"""Publishing messages of orders again by hand, before the sweep does."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

from checkout.orders.history import note_staff
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.numbers import parse_order_number
from checkout.orders.outbox.enqueue import make_due, publish_again
from checkout.orders.outbox.sweep import put_off_sweep
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus
from checkout.runtime.terminal import aligned

CHUNK = 500


class Done(Enum):
    QUEUED = "queued again"
    HASTENED = "was to be tried later, goes out now"
    WOULD_QUEUE = "would be queued again"
    WAITING = "a message waits to go out already"
    NOT_NEEDED = "nothing is left to do"
    BUSY = "another process has it now, try again"
    UNKNOWN = "no such order"


GOES_OUT = {Done.QUEUED, Done.HASTENED, Done.WOULD_QUEUE}


@dataclass(frozen=True, kw_only=True)
class Requeued:
    order: str
    status: str
    kind: str
    done: Done

    @property
    def is_good(self) -> bool:
        return self.done in {*GOES_OUT, Done.WAITING}


def numbers_of(status: OrderStatus, *, placed_before: datetime) -> Iterator[str]:
    last = 0
    orders = Order.objects.filter(status=status, placed_at__lte=placed_before).order_by("pk")
    while chunk := list(orders.filter(pk__gt=last).values_list("pk", "number")[:CHUNK]):
        last = chunk[-1][0]
        yield from (number for _, number in chunk)


def requeue_orders(
    numbers: Iterable[str], *, by: str, reason: str = "", dry_run: bool = False, now: datetime
) -> Iterator[Requeued]:
    """Requeue each order in a transaction of its own, so that this may be killed at any moment."""
    for number in numbers:
        yield _requeue(number, by=by, reason=reason, dry_run=dry_run, now=now)


def _requeue(typed: str, *, by: str, reason: str, dry_run: bool, now: datetime) -> Requeued:
    number = parse_order_number(typed)
    try:
        with transaction.atomic():
            # Another process has an order for moments. A wait ends as every wait for a lock does.
            order = Order.objects.select_for_update().filter(number=number or "").first()
            if order is None:
                return Requeued(order=number or typed, status="", kind="", done=Done.UNKNOWN)
            kind = _kind_for(order, now)
            done = Done.NOT_NEEDED if kind is None else _ask(order, kind, dry_run=dry_run, now=now)
            if done in {Done.QUEUED, Done.HASTENED}:
                note_staff(order.pk, "Queued again", by=by, why=reason, now=now)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return Requeued(order=number or typed, status="", kind="", done=Done.BUSY)
        raise
    return Requeued(order=order.number, status=order.status, kind=kind or "", done=done)


def _kind_for(order: Order, now: datetime) -> OutboxMessage.Kind | None:
    """What the sweep or the expiry would ask for. None when the order waits for its customer."""
    if order.status in UNSETTLED:
        return OutboxMessage.Kind.SETTLE_PAYMENT
    if order.sweep_at is not None:  # a refund is on its way
        return OutboxMessage.Kind.REFUND
    if order.status in EXPIRING and order.expires_at and order.expires_at <= now:
        return OutboxMessage.Kind.CANCEL_ORDER
    return None


def _ask(order: Order, kind: OutboxMessage.Kind, *, dry_run: bool, now: datetime) -> Done:
    if dry_run:
        due = order.outbox_messages.filter(kind=kind, published_at=None, available_at__lte=now)
        return Done.WAITING if due.exists() else Done.WOULD_QUEUE
    if make_due(order.pk, kind, now=now):
        return Done.HASTENED
    if not publish_again(order.pk, kind, now=now):
        return Done.WAITING
    put_off_sweep(order.pk, now=now)
    return Done.QUEUED


def as_table(results: list[Requeued]) -> str:
    rows = [("order", "is", "message", "result")]
    rows += [(r.order, r.status or "-", r.kind or "-", r.done.value) for r in results]
    queued = sum(result.done in GOES_OUT for result in results)
    return "\n".join([*(aligned(rows) if results else []), f"{queued} of {len(results)} orders."])
