"""Giving what a dead worker process had in flight to the other workers, within moments.

Without this module the same happens later, when leases and visibility time-outs are over.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from threading import Event

from django.db import connection, transaction

from checkout.orders.identity.matching import orders_meant
from checkout.orders.models import Order
from checkout.orders.outbox.enqueue import publish_again
from checkout.orders.outbox.messages import FutureVersion, PoisonMessage, decode
from checkout.orders.queue.sqs import BATCH, QUEUE_ERRORS, Incoming, PaymentsQueue
from checkout.runtime.clock import database_now
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.retry import pauses
from payments.settling.leases import end_leases
from payments.worker.in_flight import left_behind, order_numbers

logger = logging.getLogger(__name__)

# Database and SQS are asked again for so long. After that the time-outs are just as quick.
PATIENCE_SECONDS = 10.0

# How often SQS is asked what it handed to a receive whose process died, until its wait is over.
LOOK_EVERY_SECONDS = 0.5

# A death is no fault of the messages in hand, and five receives make a dead letter. So from its
# third receive on a message is replaced by a new one, whose count begins anew; not for ever, since
# the processes may die of this very message.
REPLACED_FROM_RECEIVES = 3
REPLACED_UP_TO_GENERATION = 10


def give_back(
    owner: str,
    records: Mapping[int, bytes],
    queue: PaymentsQueue,
    *,
    receive_wait_seconds: float,
    stopping: Event,
) -> None:
    """End the leases of the process that had this name, and show its messages again."""
    left, attempt_id = left_behind(records)
    handed = _handed_to(attempt_id, queue)  # first: a later look could find what is shown now
    ended = _end_leases(owner, order_numbers(message.body for message in left))
    messages = [*left, *handed]
    _return(queue, messages)
    if messages:
        logger.info(
            "What a process that died had in flight was given back",
            extra={"messages": len(messages), "leases": ended},
        )
    until = time.monotonic() + receive_wait_seconds
    while attempt_id and not handed and time.monotonic() < until:
        if stopping.wait(LOOK_EVERY_SECONDS):
            return
        handed = _handed_to(attempt_id, queue)
        _return(queue, handed)


def _handed_to(attempt_id: str, queue: PaymentsQueue) -> list[Incoming]:
    """What SQS handed to a receive whose process died. SQS answers a repetition with what the first
    one got (SQS API Reference, ReceiveMessage, "ReceiveRequestAttemptId").

    Where the first got nothing, this is a new receive and counts as one for the messages it brings.
    So nobody looks again after the first answer that has messages.
    """
    if not attempt_id:
        return []
    try:
        return queue.receive(at_most=BATCH, wait_seconds=0, attempt_id=attempt_id)
    except QUEUE_ERRORS:
        return []


def _end_leases(owner: str, order_numbers: list[str]) -> int:
    if not order_numbers:
        return 0
    for pause in pauses(first=0.1, longest=1.0, within=PATIENCE_SECONDS):
        try:
            return end_leases(owner, order_numbers=order_numbers)
        except DATABASE_ERRORS:
            connection.close()
            time.sleep(pause)
    logger.warning("The leases of a process that died were not ended: they run out")
    return 0


def _return(queue: PaymentsQueue, messages: Sequence[Incoming]) -> None:
    """Show the messages that only have to be shown; then replace the others one by one."""
    tired = [message for message in messages if message.receive_count >= REPLACED_FROM_RECEIVES]
    _show_again(queue, [message for message in messages if message not in tired])
    replaced = [message for message in tired if _replace(message)]
    _show_again(queue, [message for message in tired if message not in replaced])
    for start in range(0, len(replaced), BATCH):
        batch = [message.receipt_handle for message in replaced[start : start + BATCH]]
        _patiently(lambda: queue.delete(batch))  # noqa: B023 - called at once


def _show_again(queue: PaymentsQueue, messages: Sequence[Incoming]) -> None:
    if handles := [message.receipt_handle for message in messages]:
        _patiently(lambda: queue.change_visibility(handles, seconds=0))


def _patiently(act: Callable[[], int]) -> None:
    for pause in pauses(first=0.1, longest=1.0, within=PATIENCE_SECONDS):
        try:
            act()
        except QUEUE_ERRORS:
            time.sleep(pause)
        else:
            return
    logger.warning("SQS did not hear of messages of a process that died: they come again later")


def _replace(message: Incoming) -> bool:
    """Have a new message published in place of this one. False: this one has to be shown again."""
    try:
        content = decode(message.body)
        if content.generation >= REPLACED_UP_TO_GENERATION:
            return False
        with transaction.atomic():
            order = orders_meant(content.order).select_for_update().get()
            publish_again(order.pk, content.kind, now=database_now())
    except (PoisonMessage, FutureVersion, Order.DoesNotExist):
        return False
    except DATABASE_ERRORS:
        connection.close()
        return False
    extra = {"order": content.order.number, "generation": content.generation}
    logger.info("A message whose processes died was replaced by a new one", extra=extra)
    return True
