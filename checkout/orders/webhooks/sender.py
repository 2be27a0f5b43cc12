"""The loop that sends webhooks. Threads wait for the answers of other systems and do nothing else;
claims and records are made here, over one connection to the database.

A system that is slow keeps its own few threads waiting and nobody else.
"""

import logging
import threading
from collections import Counter
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime

from checkout.orders.models import WebhookDelivery
from checkout.orders.operations.liveness import Alive
from checkout.orders.webhooks.content import body_of, headers_of
from checkout.orders.webhooks.http import DEADLINE_SECONDS, Answer, post
from checkout.orders.webhooks.send import CLAIM, claim, record, renew
from checkout.runtime.clock import database_now
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.loop import Every, run_loop

logger = logging.getLogger(__name__)

# How many deliveries are in hand at once: to one endpoint, and to all together. Threads are started
# when they are needed, so sixteen endpoints may hang before a seventeenth has to wait.
EACH = 2
TOGETHER = 32

IDLE_SECONDS = 0.5


class Sender:
    def __init__(self, pool: ThreadPoolExecutor) -> None:
        self._pool = pool
        self._in_hand: dict[Future[Answer], WebhookDelivery] = {}
        self._is_time_to_renew = Every(CLAIM.total_seconds() / 4)

    def run_once(self, *, now: datetime) -> int:
        """Record what was answered and claim what is due. Returns how much that was."""
        if self._is_time_to_renew() and self._in_hand:
            renew(self._in_hand.values())
        return self._record_answers(now=now) + self._take_due(now=now)

    def wait(self, seconds: float, stopping: threading.Event) -> None:
        if self._in_hand:
            wait(self._in_hand, seconds, FIRST_COMPLETED)
        else:
            stopping.wait(seconds)

    def finish(self, *, now: datetime) -> None:
        wait(self._in_hand, DEADLINE_SECONDS * 2)
        self._record_answers(now=now)

    def _record_answers(self, *, now: datetime) -> int:
        answered = [future for future in self._in_hand if future.done()]
        for future in answered:
            record(self._in_hand[future], future.result(), now=now)
            del self._in_hand[future]
        return len(answered)

    def _take_due(self, *, now: datetime) -> int:
        taken = 0
        while len(self._in_hand) < TOGETHER:
            in_hand = Counter(delivery.endpoint_id for delivery in self._in_hand.values())
            busy = [endpoint for endpoint, count in in_hand.items() if count >= EACH]
            delivery = claim(now=now, busy=busy)
            if delivery is None:
                break
            body = body_of(delivery)
            headers = headers_of(delivery, body, now=now)
            future = self._pool.submit(_send, delivery.endpoint.url, body, headers)
            self._in_hand[future] = delivery
            taken += 1
        return taken


def _send(url: str, body: bytes, headers: dict[str, str]) -> Answer:
    with fault_points("webhook sent"):
        return post(url, body=body, headers=headers)


def run(stopping: threading.Event, alive: Alive | None = None) -> None:
    with ThreadPoolExecutor(TOGETHER, thread_name_prefix="webhook") as pool:
        sender = Sender(pool)

        def run_once() -> int:
            done = sender.run_once(now=database_now())
            if not done:
                sender.wait(IDLE_SECONDS, stopping)
            return done

        beat = (alive or Alive("webhook_sender")).beat
        run_loop(run_once, stopping, doing="Sending webhooks", log=logger, beat=beat)
        try:
            sender.finish(now=database_now())
        except DATABASE_ERRORS as error:
            logger.warning(
                "Webhooks were sent and not recorded: they are sent again",
                extra={"error": type(error).__name__},
            )
