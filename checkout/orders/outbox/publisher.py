"""The publisher's loop: how it publishes is in `publish`, and what it looks after in `sweep`."""

import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime

from django.conf import settings
from django.db import connection

from checkout.orders.limits.counting import prune_limits
from checkout.orders.operations.gauges import (
    SHOP_EVERY_SECONDS,
    forget_processes,
    measure_shop,
)
from checkout.orders.operations.liveness import Alive
from checkout.orders.outbox.publish import is_anything_due, publish_outbox
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.outbox.wake import wait_for_message
from checkout.orders.pausing import is_paused
from checkout.orders.queue.sqs import BATCH, QUEUE_ERRORS, PaymentsQueue
from checkout.runtime.clock import database_now
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.loop import Every, run_loop

logger = logging.getLogger(__name__)

# A publisher that waits is woken by a message that is stored. It looks by itself as often as this,
# since a message may also become due with time.
WAIT_SECONDS = 0.5

# Where it cannot be woken, it looks as often as this.
IDLE_SECONDS = 0.02

# What comes meanwhile is sent together, since SQS takes ten messages for the price of one.
BETWEEN_SENDS_SECONDS = 0.1


def run(queue: PaymentsQueue, stopping: threading.Event, alive: Alive | None = None) -> None:
    is_time_to_sweep = Every(settings.SWEEP_EVERY_SECONDS)
    is_time_to_sample = Every(SHOP_EVERY_SECONDS)
    sends_again_at = 0.0

    def run_once() -> int:
        nonlocal sends_again_at
        if is_time_to_sweep():
            _look_after_the_rest(now=database_now())
        if is_time_to_sample():
            measure_shop(now=database_now())
        if time.monotonic() < sends_again_at or is_paused():
            return 0
        if not (is_anything_due() or wait_for_message(WAIT_SECONDS)):
            return 0
        sent = publish_outbox(queue, now=database_now())
        if sent < BATCH:
            sends_again_at = time.monotonic() + BETWEEN_SENDS_SECONDS
        return sent

    run_loop(
        run_once,
        stopping,
        doing="Publishing",
        log=logger,
        beat=(alive or Alive("publisher")).beat,
        idle_seconds=IDLE_SECONDS,
        full=BATCH,
        outages=QUEUE_ERRORS,
    )


def on_waiting_for_sqs(alive: Alive) -> Callable[[], None]:
    """Return what a publisher does while it has not reached SQS yet. Alerts must see how long
    messages wait also when every publisher was started again meanwhile."""
    is_time_to_sample = Every(SHOP_EVERY_SECONDS)

    def on_try() -> None:
        alive.beat()
        if is_time_to_sample():
            try:
                measure_shop(now=database_now())
            except DATABASE_ERRORS:
                connection.close()

    return on_try


def _look_after_the_rest(*, now: datetime) -> None:
    if swept := sweep(now=now):
        logger.warning("Orders were published again", extra={"count": swept})
    if expired := expire_unpaid(now=now):
        logger.info("Unpaid orders have expired", extra={"count": expired})
    prune_limits(now=now)
    forget_processes(now=now)
