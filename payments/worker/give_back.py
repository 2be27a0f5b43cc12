"""What a worker process that died had in flight, given to the others within moments.

Without it all of this happens by itself, when leases and visibility time-outs are over.
"""

import logging
import time
from collections.abc import Mapping
from threading import Event

from django.db import DatabaseError, connection

from checkout.orders.queue import BATCH, QUEUE_ERRORS, PaymentsQueue
from checkout.runtime.retry import pauses
from payments.leases import end_leases
from payments.worker.in_flight import left_behind

logger = logging.getLogger(__name__)

# Database and SQS are asked again for so long; afterwards the time-outs are as quick.
PATIENCE_SECONDS = 10.0

# How often SQS is asked what it handed to a receive whose process died. SQS may do so until the
# wait of that receive is over.
LOOK_EVERY_SECONDS = 0.5


def give_back(
    owner: str,
    records: Mapping[int, bytes],
    queue: PaymentsQueue,
    *,
    receive_wait_seconds: float,
    stopping: Event,
) -> None:
    """End the leases of the process that had this name, and show its messages again."""
    left = left_behind(records)
    handed = _handed_to(left.attempt_id, queue)  # first: a later look could find what is shown now
    ended = _end_leases(owner, left.order_numbers)
    _show_again(queue, [*left.receipt_handles, *handed])
    if count := len(left.receipt_handles) + len(handed):
        logger.info(
            "What a process that died had in flight was given back",
            extra={"messages": count, "leases": ended},
        )
    until = time.monotonic() + receive_wait_seconds
    while left.attempt_id and not handed and time.monotonic() < until:
        if stopping.wait(LOOK_EVERY_SECONDS):
            return
        handed = _handed_to(left.attempt_id, queue)
        _show_again(queue, handed)


def _handed_to(attempt_id: str, queue: PaymentsQueue) -> list[str]:
    """Receipt handles of what SQS handed to a receive whose process died. SQS answers a repetition
    with what the first one got (SQS API Reference, ReceiveMessage, "ReceiveRequestAttemptId").

    Where the first got nothing this is a receive of its own, and counts as one for the messages it
    brings, of which five bring a message to the dead-letter queue. So nobody looks again after the
    first answer that has messages.
    """
    if not attempt_id:
        return []
    try:
        found = queue.receive(at_most=BATCH, wait_seconds=0, attempt_id=attempt_id)
    except QUEUE_ERRORS:
        return []
    return [message.receipt_handle for message in found]


def _end_leases(owner: str, order_numbers: list[str]) -> int:
    if not order_numbers:
        return 0
    for pause in pauses(first=0.1, longest=1.0, within=PATIENCE_SECONDS):
        try:
            return end_leases(owner, order_numbers=order_numbers)
        except DatabaseError:
            connection.close()
            time.sleep(pause)
    logger.warning("The leases of a process that died were not ended: they run out")
    return 0


def _show_again(queue: PaymentsQueue, receipt_handles: list[str]) -> None:
    if not receipt_handles:
        return
    for pause in pauses(first=0.1, longest=1.0, within=PATIENCE_SECONDS):
        try:
            queue.change_visibility(receipt_handles, seconds=0)
        except QUEUE_ERRORS:
            time.sleep(pause)
        else:
            return
    logger.warning("The messages of a process that died were not shown again: they come later")
