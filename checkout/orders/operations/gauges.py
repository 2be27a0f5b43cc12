"""Metrics that are looked up every few seconds, each by an index, since no event counts them."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.db.models import Min, QuerySet

from checkout.orders.models import AccountMail, Mail, ProcessAlive, QueueSeen, open_deliveries
from checkout.orders.operations.cloudwatch import tell_of_shop
from checkout.orders.operations.liveness import STALE_AFTER_SECONDS
from checkout.orders.operations.shop_state import ShopState
from checkout.runtime import metrics
from checkout.runtime.process_name import host_of

if TYPE_CHECKING:  # web processes use the rest of this and never load boto3
    from checkout.orders.queue.sqs import PaymentsQueue

MAILS = (Mail, AccountMail)

SHOP_EVERY_SECONDS = 5.0
QUEUE_EVERY_SECONDS = 15.0

# A process that was last seen so long ago is forgotten.
FORGET_AFTER = timedelta(days=1)


def measure_shop(*, now: datetime) -> None:
    """The publisher does this."""
    state = ShopState(now=now)
    metrics.OUTBOX_AGE.set(_age(state.next_message_at, now))
    mails = [_oldest(kind.objects.filter(sent_at=None, gave_up_at=None)) for kind in MAILS]
    metrics.MAILS_AGE.set(max(_age(oldest, now) for oldest in mails))
    webhooks = open_deliveries().filter(endpoint__is_active=True)
    metrics.WEBHOOKS_AGE.set(_age(_oldest(webhooks), now))
    metrics.NEEDS_PERSON.set(state.for_a_person)
    metrics.WAITING_TOO_LONG.set(state.waiting_too_long)
    metrics.TO_SEND_AGE.set(_age(state.oldest_to_send_at, now))
    metrics.PAUSED.set(state.pause is not None)
    tell_of_shop()


def measure_queue(queue: "PaymentsQueue", *, now: datetime) -> None:
    """A worker does this, since it has the right to ask SQS. Raises what boto3 raises."""
    counts, dead = queue.counts(), queue.dead_letter_queue().counts()
    by_state = asdict(counts)
    for state, count in by_state.items():
        metrics.QUEUE_MESSAGES.labels(state).set(count)
    metrics.BACKLOG_PER_WORKER.set(counts.waiting / max(1, live_workers(now=now)))
    metrics.DEAD_LETTERS.set(dead.all)
    seen = by_state | {"dead_letters": dead.all, "seen_at": now}
    QueueSeen.objects.update_or_create(pk=QueueSeen.ONLY, defaults=seen)


def live_workers(*, now: datetime) -> int:
    """How many workers live, each of which may be several processes of one host or container."""
    fresh = now - timedelta(seconds=STALE_AFTER_SECONDS)
    names = ProcessAlive.objects.filter(kind="worker", seen_at__gte=fresh).values_list("name")
    return len({host_of(name) for (name,) in names})


def forget_processes(*, now: datetime) -> None:
    ProcessAlive.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()


def _oldest(waiting: "QuerySet[Any]") -> datetime | None:
    """The time at which the first of these was due, or will be."""
    at: datetime | None = waiting.aggregate(at=Min("available_at"))["at"]
    return at


def _age(oldest: datetime | None, now: datetime) -> float:
    """Nothing is late that is due later."""
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
