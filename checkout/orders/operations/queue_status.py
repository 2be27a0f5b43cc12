"""What waits between the order and the queue, since when, and why."""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Count, Min

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.operations.shop_state import (
    PUBLISHER_LATE,
    WAITING_TOO_LONG,
    WORKER_LATE,
    ShopState,
)
from checkout.orders.queue.sqs import Counts, PaymentsQueue
from checkout.orders.states import OrderStatus
from checkout.runtime.database import lift_time_limit
from checkout.runtime.terminal import age, aligned


@dataclass(frozen=True, kw_only=True)
class Outbox:
    waiting: int
    due: int
    oldest_due_seconds: float | None
    next_available_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OfStatus:
    status: str
    orders: int = 0
    oldest_seconds: float | None = None  # since the oldest of them was placed


@dataclass(frozen=True, kw_only=True)
class Paused:
    since: datetime
    by: str
    reason: str


@dataclass(frozen=True, kw_only=True)
class DatabaseStatus:
    at: datetime
    outbox: Outbox
    orders: list[OfStatus]
    # How long the oldest unsettled order has waited since its message went to the queue.
    oldest_published_seconds: float | None
    for_a_person: int
    waiting_too_long: int
    paused: Paused | None


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    payments: Counts
    dead_letters: Counts


def database_status(*, now: datetime) -> DatabaseStatus:
    state = ShopState(now=now)
    pause = state.pause
    with transaction.atomic():
        lift_time_limit()
        return DatabaseStatus(
            at=now,
            outbox=Outbox(
                **state.messages,
                oldest_due_seconds=_since(state.oldest_due_at, now),
                next_available_at=state.next_message_at,
            ),
            orders=_orders_by_status(now),
            oldest_published_seconds=_since(_oldest_published_at(), now),
            for_a_person=state.for_a_person,
            waiting_too_long=state.waiting_too_long,
            paused=Paused(since=pause.paused_at, by=pause.paused_by, reason=pause.reason)
            if pause
            else None,
        )


def _orders_by_status(now: datetime) -> list[OfStatus]:
    by_status = Order.objects.order_by().values_list("status")
    found = {
        status: OfStatus(status=status, orders=orders, oldest_seconds=_since(oldest, now))
        for status, orders, oldest in by_status.annotate(Count("pk"), Min("placed_at"))
    }
    return [found.get(status) or OfStatus(status=status) for status in OrderStatus.values]


def _oldest_published_at() -> datetime | None:
    published = OutboxMessage.objects.filter(
        order__status=OrderStatus.PLACED, published_at__isnull=False
    )
    oldest: datetime | None = published.aggregate(oldest=Min("published_at"))["oldest"]
    return oldest


def queue_status(queue: PaymentsQueue) -> QueueStatus:
    return QueueStatus(payments=queue.counts(), dead_letters=queue.dead_letter_queue().counts())


def hints(database: DatabaseStatus, queue: QueueStatus | None) -> list[str]:
    pause = database.paused
    found = [] if pause else _hints_of_lateness(database)
    if pause:
        found.append(
            f"Payments are paused since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by} "
            f"({pause.reason}). What waits goes on after `resume_payments`."
        )
    if queue and queue.dead_letters.all:
        found.append("Dead letters wait for somebody: `dead_letters list`.")
    if database.for_a_person:
        found.append(f"{database.for_a_person} orders wait for a person: `audit_orders`.")
    return found


def _hints_of_lateness(database: DatabaseStatus) -> list[str]:
    found = []
    late = database.outbox.oldest_due_seconds
    if late is not None and late > PUBLISHER_LATE.total_seconds():
        found.append(
            f"A message has been due for {age(late)} and is not published. Is a publisher running, "
            "and does SQS answer the publisher?"
        )
    late = database.oldest_published_seconds
    if late is not None and late > WORKER_LATE.total_seconds():
        found.append(
            f"An order waits for its payment, and its message was published {age(late)} ago. Are "
            "workers running, and does the gateway answer them? `requeue_orders --state placed` "
            "publishes such orders again."
        )
    if database.waiting_too_long:
        found.append(
            f"{database.waiting_too_long} orders have waited for their payment for more than "
            f"{age(WAITING_TOO_LONG.total_seconds())}."
        )
    return found


def as_text(database: DatabaseStatus, queue: QueueStatus | None, queue_problem: str) -> str:
    outbox = database.outbox
    lines = [f"The queue could not be asked: {queue_problem}", ""]
    if queue:
        rows = [("", "waiting", "in hand", "delayed")]
        for name, counts in (("queue", queue.payments), ("dead letters", queue.dead_letters)):
            rows.append((name, str(counts.waiting), str(counts.in_hand), str(counts.delayed)))
        lines = [*aligned(rows), "(SQS counts approximately.)", ""]
    due = ("due", str(outbox.due), _age(outbox.oldest_due_seconds))
    later = ("for later", str(outbox.waiting - outbox.due), "")
    lines += aligned([("outbox", "messages", "since"), due, later])
    if outbox.next_available_at and not outbox.due:
        ahead = (outbox.next_available_at - database.at).total_seconds()
        lines.append(f"The next message goes out in {age(ahead)}.")
    orders = [(row.status, str(row.orders), _age(row.oldest_seconds)) for row in database.orders]
    lines += ["", *aligned([("orders", "now", "oldest placed"), *orders])]
    lines += ["", "Payments are " + ("PAUSED." if database.paused else "on.")]
    return "\n".join([*lines, *hints(database, queue)])


def _since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _age(seconds: float | None) -> str:
    return "" if seconds is None else age(seconds)
