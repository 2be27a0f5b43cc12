"""Figures that nobody counts as they happen: looked up every few seconds, each by an index."""

import time
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from django.db.models import Min, QuerySet

from checkout.orders.attention.queries import waiting_for_a_person
from checkout.orders.models import (
    AccountMail,
    Mail,
    Order,
    OutboxMessage,
    ProcessAlive,
    QueueSeen,
    open_deliveries,
)
from checkout.orders.pausing import current_pause
from checkout.orders.states import UNSETTLED
from checkout.runtime import metrics

if TYPE_CHECKING:  # web processes use the rest of this and never load boto3
    from checkout.orders.queue.sqs import PaymentsQueue

# After so long without a move somebody should look. The sweep has published it again by then.
WAITING_TOO_LONG = timedelta(minutes=20)

BOOKS_EVERY_SECONDS = 5.0
QUEUE_EVERY_SECONDS = 15.0

# Processes that are so long gone are forgotten.
FORGET_AFTER = timedelta(days=1)


class Every:
    """True once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


def sample_books(*, now: datetime) -> None:
    """By the publisher."""
    due = OutboxMessage.objects.filter(published_at=None, available_at__lte=now)
    metrics.OUTBOX_AGE.set(_age(due.aggregate(oldest=Min("available_at"))["oldest"], now))
    mails = Mail.objects.filter(sent_at=None, gave_up_at=None, available_at__lte=now)
    asked_for = AccountMail.objects.filter(sent_at=None, gave_up_at=None, available_at__lte=now)
    metrics.MAILS_AGE.set(
        max(
            _age(waiting.aggregate(oldest=Min("available_at"))["oldest"], now)
            for waiting in (mails, asked_for)
        )
    )
    webhooks = open_deliveries().filter(endpoint__is_active=True, available_at__lte=now)
    metrics.WEBHOOKS_AGE.set(_age(webhooks.aggregate(oldest=Min("available_at"))["oldest"], now))
    metrics.NEEDS_PERSON.set(waiting_for_a_person().order_by().count())
    metrics.WAITING_TOO_LONG.set(waiting_too_long(now=now).count())
    metrics.PAUSED.set(current_pause() is not None)


def waiting_too_long(*, now: datetime) -> QuerySet[Order]:
    return Order.objects.filter(
        status__in=sorted(UNSETTLED), status_changed_at__lt=now - WAITING_TOO_LONG
    )


def sample_queue(queue: "PaymentsQueue", *, now: datetime) -> None:
    """By a worker, which has the right to ask SQS. Raises what boto3 raises."""
    counts, dead = queue.counts(), queue.dead_letter_queue().counts()
    for state in ("waiting", "in_hand", "delayed"):
        metrics.QUEUE_MESSAGES.labels(state).set(getattr(counts, state))
    metrics.DEAD_LETTERS.set(dead.all)
    seen = {
        "waiting": counts.waiting,
        "in_hand": counts.in_hand,
        "delayed": counts.delayed,
        "dead_letters": dead.all,
        "seen_at": now,
    }
    QueueSeen.objects.update_or_create(pk=QueueSeen.ONLY, defaults=seen)


def forget_processes(*, now: datetime) -> None:
    ProcessAlive.objects.filter(seen_at__lt=now - FORGET_AFTER).delete()


def _age(oldest: datetime | None, now: datetime) -> float:
    return max(0.0, (now - oldest).total_seconds()) if oldest else 0.0
