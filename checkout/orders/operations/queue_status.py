"""Where everything stands between the order and the queue: what waits, since when, and why."""

import json
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Count, Min, Q

from checkout.orders.attention.queries import waiting_for_a_person
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.pausing import current_pause
from checkout.orders.queue.sqs import Counts, PaymentsQueue
from checkout.orders.states import OrderStatus
from checkout.runtime.database import lift_time_limit
from checkout.runtime.terminal import age, aligned

# A publisher that runs takes what is due within a second.
PUBLISHER_LATE = timedelta(minutes=1)

# A worker that runs has settled a message, or put it off, within its deadline of a minute.
WORKER_LATE = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class Outbox:
    waiting: int
    due: int
    oldest_due_seconds: float | None
    next_available_at: datetime | None


@dataclass(frozen=True, kw_only=True)
class OfStatus:
    status: str
    orders: int
    oldest_seconds: float | None  # since the oldest of them was placed


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
    # The longest that an unsettled order has waited since its message went to the queue.
    oldest_published_seconds: float | None
    for_a_person: int
    paused: Paused | None


@dataclass(frozen=True, kw_only=True)
class QueueStatus:
    payments: Counts
    dead_letters: Counts


@dataclass(frozen=True, kw_only=True)
class Status:
    database: DatabaseStatus
    queue: QueueStatus | None
    queue_problem: str = ""
    hints: list[str] = field(default_factory=list)


def database_status(*, now: datetime) -> DatabaseStatus:
    with transaction.atomic():
        lift_time_limit()
        unpublished = OutboxMessage.objects.filter(published_at=None)
        is_due = Q(available_at__lte=now)
        outbox = unpublished.aggregate(
            waiting=Count("pk"),
            due=Count("pk", filter=is_due),
            oldest=Min("available_at", filter=is_due),
            next=Min("available_at"),
        )
        statuses = {
            row["status"]: (row["orders"], row["oldest"])
            for row in Order.objects.order_by()
            .values("status")
            .annotate(orders=Count("pk"), oldest=Min("placed_at"))
        }
        published = OutboxMessage.objects.filter(
            order__status=OrderStatus.PLACED, published_at__isnull=False
        ).aggregate(oldest=Min("published_at"))
        for_a_person = waiting_for_a_person().order_by().count()
        pause = current_pause()
    return DatabaseStatus(
        at=now,
        outbox=Outbox(
            waiting=outbox["waiting"],
            due=outbox["due"],
            oldest_due_seconds=_since(outbox["oldest"], now),
            next_available_at=outbox["next"],
        ),
        orders=[
            OfStatus(
                status=status,
                orders=statuses.get(status, (0, None))[0],
                oldest_seconds=_since(statuses.get(status, (0, None))[1], now),
            )
            for status in OrderStatus.values
        ],
        oldest_published_seconds=_since(published["oldest"], now),
        for_a_person=for_a_person,
        paused=Paused(since=pause.paused_at, by=pause.paused_by, reason=pause.reason)
        if pause
        else None,
    )


def queue_status(queue: PaymentsQueue) -> QueueStatus:
    return QueueStatus(payments=queue.counts(), dead_letters=queue.dead_letter_queue().counts())


def hints(database: DatabaseStatus, queue: QueueStatus | None) -> list[str]:
    """What the figures mean, and where to go on."""
    told = []
    if pause := database.paused:
        told.append(
            f"Payments are paused since {pause.since:%Y-%m-%d %H:%M} UTC by {pause.by} "
            f"({pause.reason}): what waits goes on after `resume_payments`."
        )
    late = database.outbox.oldest_due_seconds
    if not pause and late is not None and late > PUBLISHER_LATE.total_seconds():
        told.append(
            f"A message is due for {age(late)} and not published: is a publisher running, and "
            "does SQS answer it?"
        )
    late = database.oldest_published_seconds
    if not pause and late is not None and late > WORKER_LATE.total_seconds():
        told.append(
            f"An order waits for its payment since its message was published {age(late)} ago: are "
            "workers running, and does the gateway answer them? `requeue_orders --state placed`"
        )
    if queue and queue.dead_letters.all:
        told.append("Dead letters wait for somebody: `dead_letters list`.")
    if database.for_a_person:
        told.append(f"{database.for_a_person} orders wait for a person: `audit_orders`.")
    return told


def as_json(status: Status) -> str:
    told = asdict(status)
    return json.dumps(told, indent=2, default=lambda moment: moment.isoformat())


def as_text(status: Status) -> str:
    database, queue = status.database, status.queue
    outbox = database.outbox
    lines = []
    rows: list[tuple[str, ...]]
    if queue:
        rows = [("", "waiting", "in hand", "delayed")]
        for name, counts in (("queue", queue.payments), ("dead letters", queue.dead_letters)):
            rows.append((name, *map(str, (counts.waiting, counts.in_hand, counts.delayed))))
        lines += [*aligned(rows), "(SQS counts approximately.)", ""]
    else:
        lines += [f"The queue could not be asked: {status.queue_problem}", ""]
    rows = [("outbox", "messages", "since")]
    rows.append(("due", str(outbox.due), _age(outbox.oldest_due_seconds)))
    rows.append(("for later", str(outbox.waiting - outbox.due), ""))
    lines += aligned(rows)
    if outbox.next_available_at and not outbox.due:
        ahead = (outbox.next_available_at - database.at).total_seconds()
        lines.append(f"The next goes out in {age(ahead)}.")
    rows = [("orders", "now", "oldest placed")]
    for row in database.orders:
        rows.append((row.status, str(row.orders), _age(row.oldest_seconds)))
    lines += ["", *aligned(rows), "", "Payments are " + ("PAUSED." if database.paused else "on.")]
    return "\n".join([*lines, *status.hints])


def _since(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


def _age(seconds: float | None) -> str:
    return "" if seconds is None else age(seconds)
