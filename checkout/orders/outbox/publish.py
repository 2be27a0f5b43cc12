"""Publish messages from the outbox to the queue.

Claim and commit, send, record: the database is never locked while SQS is asked. A publisher that
dies in between leaves a claim that runs out; the message is then sent again under the same
deduplication id, and whatever gets through twice meets an idempotent worker.
"""

import logging
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta

from django.db import connection
from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Now

from checkout.orders.models import OutboxMessage
from checkout.orders.outbox.messages import encode
from checkout.orders.queue.sqs import BATCH, QUEUE_ERRORS, Outgoing, PaymentsQueue
from checkout.runtime import metrics, trace
from checkout.runtime.claiming import claim as claim_due
from checkout.runtime.claiming import kept_claimed
from checkout.runtime.faultpoints import fault_points

logger = logging.getLogger(__name__)

# A claim is renewed while SQS is slow. After a publisher died, its messages are free again this
# soon. One that was stopped for longer is overtaken, and SQS drops what it then sends again.
CLAIM = timedelta(seconds=5)

# How soon a message that SQS refused is tried again.
REFUSED_PAUSE = timedelta(seconds=1)

CLAIM_AT_MOST = 100

# What is read of a row: its message, its span and its log line are made of these columns.
READ = ("kind", "generation", "traceparent", "available_at", "order__number", "order__reference")

# Asked many times a second by each publisher that has nothing to do, so it is written by hand. With
# its order it reads the index of what is not published, whatever Postgres thinks of the table.
ANYTHING_DUE = """
SELECT id FROM orders_outboxmessage
WHERE published_at IS NULL AND available_at <= now()
    AND (claimed_until IS NULL OR claimed_until < now())
ORDER BY available_at, id
LIMIT 1
"""

# What SQS took, and the trace under which each message went out.
Sent = dict[OutboxMessage, str]


def is_anything_due() -> bool:
    """Whether a message waits that no publisher has in hand. One of an order whose earlier message
    another publisher has in hand counts too, although it cannot be claimed yet."""
    with connection.cursor() as cursor:
        cursor.execute(ANYTHING_DUE)
        return cursor.fetchone() is not None


def publish_outbox(queue: PaymentsQueue, *, now: datetime) -> int:
    """Publish what is due. Returns how many messages SQS took. Raises what boto3 raises when SQS
    does not answer; nothing is lost by that, and the claims are given back."""
    with fault_points("batch claimed"):
        claimed = claim(now=now)
    if not claimed:
        return 0
    with kept_claimed(_still_to_send(claimed), lasts=CLAIM):
        sent, error = _send_all(queue, claimed)
    with fault_points("publication recorded"):
        _record(list(sent), now=now)
    for message, traceparent in sent.items():
        with trace.in_trace(traceparent):
            extra = {"order": message.order.number, "kind": message.kind}
            logger.info("Message published", extra=extra)
        metrics.PUBLISHED.inc()
        metrics.PUBLISH_SECONDS.observe(max(0.0, (now - message.available_at).total_seconds()))
    if unsent := [message for message in claimed if message not in sent]:
        _still_to_send(unsent).update(claimed_until=Now() + REFUSED_PAUSE)
    if error:
        raise error
    if unsent:
        logger.warning("SQS refused messages", extra={"count": len(unsent)})
    return len(sent)


def claim(*, now: datetime) -> list[OutboxMessage]:
    """Claim due messages for this publisher alone, of each order only the oldest."""
    oldest = OutboxMessage.objects.filter(
        order=OuterRef("order"), published_at__isnull=True, available_at__lte=now
    ).order_by("pk")
    due = (
        OutboxMessage.objects.select_related("order")
        .only(*READ)
        .filter(published_at__isnull=True, available_at__lte=now)
        .filter(pk=Subquery(oldest.values("pk")[:1]))
    )
    return claim_due(due, lasts=CLAIM, at_most=CLAIM_AT_MOST)


def _send_all(queue: PaymentsQueue, claimed: list[OutboxMessage]) -> tuple[Sent, Exception | None]:
    """Send all batches at once, for backlogs. No two of the messages are about one order."""
    first, *others = [claimed[start : start + BATCH] for start in range(0, len(claimed), BATCH)]
    with ThreadPoolExecutor(CLAIM_AT_MOST // BATCH, thread_name_prefix="send") as senders:
        sending = [senders.submit(_send, queue, batch) for batch in others]
        answers = [_send(queue, first)]  # mostly the only one, and then no thread is started
        answers += [answer.result() for answer in sending]
    sent: Sent = {}
    error = None
    for taken, failure in answers:
        sent |= taken
        error = error or failure
    return sent, error


def _send(queue: PaymentsQueue, batch: list[OutboxMessage]) -> tuple[Sent, Exception | None]:
    """Send a batch. Each message has a span in its own trace, until SQS has answered."""
    with ExitStack() as steps:
        outgoing = [
            Outgoing(
                body=encode(message),
                # Not the number: on a shared queue another installation's order has it too, and the
                # two would wait for each other.
                group=message.order.reference,
                deduplication_id=message.deduplication_id,
                traceparent=steps.enter_context(
                    trace.span(
                        "publish",
                        message.traceparent,
                        order=message.order.number,
                        kind=message.kind,
                    )
                ),
            )
            for message in batch
        ]
        try:
            with fault_points("message sent"):
                taken = queue.send(outgoing)
        except QUEUE_ERRORS as error:
            return {}, error
    return {batch[place]: outgoing[place].traceparent for place in sorted(taken)}, None


def _record(messages: list[OutboxMessage], *, now: datetime) -> None:
    """Record what was sent, by its generation: a later one may have been asked for meanwhile."""
    for generation in {message.generation for message in messages}:
        OutboxMessage.objects.filter(
            pk__in=[message.pk for message in messages if message.generation == generation],
            generation=generation,
        ).update(published_at=now, claimed_until=None)


def _still_to_send(messages: list[OutboxMessage]) -> QuerySet[OutboxMessage]:
    pks = [message.pk for message in messages]
    return OutboxMessage.objects.filter(pk__in=pks, published_at__isnull=True)
