"""From the outbox to the queue.

Claim and commit, send, record: the database is never locked while SQS is asked. A publisher that
dies in between leaves a claim that runs out; the message is then sent again under the same
deduplication id, and whatever gets through twice meets an idempotent worker.
"""

import logging
from contextlib import ExitStack
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Now

from checkout.orders import metrics, trace
from checkout.orders.faultpoints import fault_points
from checkout.orders.messages import encode
from checkout.orders.models import OutboxMessage
from checkout.orders.queue import BATCH, QUEUE_ERRORS, Outgoing, PaymentsQueue

logger = logging.getLogger(__name__)

# Longer than a send can take with its one repetition (26 s): a slow publisher is not overtaken.
CLAIM = timedelta(seconds=30)

# How soon a message that SQS refused is tried again.
REFUSED_PAUSE = timedelta(seconds=1)

CLAIM_AT_MOST = 100


def publish_outbox(queue: PaymentsQueue, *, now: datetime) -> int:
    """Publish what is due; how many messages SQS took. Raises what boto3 raises when SQS does
    not answer; nothing is lost by that, and the claims are given back."""
    with fault_points("batch claimed"):
        claimed = claim(now=now)
    published = 0
    for start in range(0, len(claimed), BATCH):
        batch = claimed[start : start + BATCH]
        try:
            outgoing, taken = _send(queue, batch)
        except QUEUE_ERRORS:
            _release(claimed[start:])
            raise
        sent = [message for position, message in enumerate(batch) if position in taken]
        with fault_points("publication recorded"):
            _record(sent, now=now)
        published += len(sent)
        for position in sorted(taken):
            with trace.under(outgoing[position].traceparent):
                extra = {"order": batch[position].order.number, "kind": batch[position].kind}
                logger.info("Message published", extra=extra)
            metrics.PUBLISHED.inc()
            waited = now - batch[position].available_at
            metrics.PUBLISH_SECONDS.observe(max(0.0, waited.total_seconds()))
        if refused := [message for message in batch if message not in sent]:
            logger.warning("SQS refused messages", extra={"count": len(refused)})
            _release(refused)
    return published


def claim(*, now: datetime) -> list[OutboxMessage]:
    """Take due messages in hand, of each order only the oldest, for this publisher alone."""
    older = OutboxMessage.objects.filter(
        order=OuterRef("order"),
        pk__lt=OuterRef("pk"),
        published_at__isnull=True,
        available_at__lte=now,
    )
    unclaimed = Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())
    with transaction.atomic():
        due = (
            OutboxMessage.objects.select_for_update(skip_locked=True, of=("self",))
            .select_related("order")
            .filter(unclaimed, ~Exists(older), published_at__isnull=True, available_at__lte=now)
            .order_by("available_at", "id")[:CLAIM_AT_MOST]
        )
        messages = list(due)
        OutboxMessage.objects.filter(pk__in=[message.pk for message in messages]).update(
            claimed_until=Now() + CLAIM
        )
    return messages


def _send(queue: PaymentsQueue, batch: list[OutboxMessage]) -> tuple[list[Outgoing], set[int]]:
    """Each message in a span of its own trace, which lasts until SQS has answered."""
    with ExitStack() as steps:
        outgoing = [
            Outgoing(
                body=encode(message),
                group=message.order.number,
                deduplication_id=message.deduplication_id,
                traceparent=steps.enter_context(
                    trace.step(
                        "publish",
                        message.traceparent,
                        order=message.order.number,
                        kind=message.kind,
                    )
                ),
            )
            for message in batch
        ]
        with fault_points("message sent"):
            return outgoing, queue.send(outgoing)


def _record(messages: list[OutboxMessage], *, now: datetime) -> None:
    """Only the generation that was sent: a later one may have been asked for meanwhile."""
    for generation in {message.generation for message in messages}:
        OutboxMessage.objects.filter(
            pk__in=[message.pk for message in messages if message.generation == generation],
            generation=generation,
        ).update(published_at=now, claimed_until=None)


def _release(messages: list[OutboxMessage]) -> None:
    OutboxMessage.objects.filter(
        pk__in=[message.pk for message in messages], published_at__isnull=True
    ).update(claimed_until=Now() + REFUSED_PAUSE)
