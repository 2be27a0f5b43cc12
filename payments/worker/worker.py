"""The worker: receive, settle, commit, and only then delete.

The receiving loop runs in the main thread and asks for no more messages than there are free
threads, so that no message waits in hand. One thread extends the visibility timeout of what is in
hand and deletes what is done, in batches.
"""

import logging
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum
from functools import partial

from django.conf import settings
from django.db import DatabaseError, close_old_connections, connection
from django.utils import timezone

from checkout.orders import metrics, spans, trace
from checkout.orders.faultpoints import fault_points
from checkout.orders.liveness import Alive
from checkout.orders.messages import FutureVersion, OrderMessage, PoisonMessage, decode
from checkout.orders.models import OutboxMessage
from checkout.orders.pausing import is_paused
from checkout.orders.queue import BATCH, QUEUE_ERRORS, Incoming, PaymentsQueue
from checkout.orders.sampling import QUEUE_EVERY_SECONDS, Every, sample_queue
from payments.checking import cancel_order, check_order
from payments.gateways.base import Gateway, GatewayMisconfigured
from payments.models import PaymentAttempt
from payments.refund_settlement import settle_refunds
from payments.settlement import Settled, UnknownOrder, settle_order

logger = logging.getLogger(__name__)

# How long a message is put back for, by why.
BUSY_SECONDS = (2, 8, 30)  # at its first receives; see `busy_seconds`
FUTURE_VERSION_SECONDS = 300
POISON_SECONDS = 5  # on its way to the dead-letter queue: soon, but not in a tight loop
FAILED_SECONDS = (10, 30, 120, 600)  # so the database may be away for 12 minutes

# Each call of SQS costs money and time, whether it is about one message or ten. So deletes wait
# for company. The outcome is committed by then and no shopper waits; what waits is the next
# message of the same order, if there is one.
DELETE_WAIT_SECONDS = 0.1

# And where messages queue, a receive waits for as many free threads as it can fill. A worker of few
# threads has few messages, and asks at once.
GATHER_SECONDS = 0.1
GATHER_FROM_THREADS = 2 * BATCH

# SIGTERM lets what is in hand finish for so long.
FINISH_SECONDS = 60

PAUSE_SECONDS = 1.0

# Alerts ask how much these have grown, and to Prometheus a series that begins with 1 has not grown.
for _outcome in ("poison", "unknown_order", "failed"):
    metrics.HANDLED.labels(_outcome)
for _step in PaymentAttempt.Step.values:
    metrics.GATEWAY_SECONDS.labels(_step, GatewayMisconfigured.__name__)

HANDLERS: dict[str, Callable[..., Settled]] = {
    OutboxMessage.Kind.SETTLE_PAYMENT: settle_order,
    OutboxMessage.Kind.CHECK_PAYMENT: check_order,
    OutboxMessage.Kind.REFUND: settle_refunds,
    OutboxMessage.Kind.CANCEL_ORDER: cancel_order,
}


class Verdict(Enum):
    DELETE = "delete"
    PUT_BACK = "put back"


def handle(message: Incoming, gateway: Gateway) -> tuple[Verdict, int]:
    """What one message leads to: delete it, or show it again in so many seconds.

    DELETE only when the outcome is committed, or when there was nothing left to do.
    """
    with trace.step("handle", message.traceparent, receive_count=message.receive_count):
        return _handle(message, gateway)


def _handle(message: Incoming, gateway: Gateway) -> tuple[Verdict, int]:
    extra: dict[str, object] = {"message_id": message.id, "receive_count": message.receive_count}
    try:
        content = decode(message.body)
        extra["order"] = content.order_number
        with metrics.HANDLE_SECONDS.labels(_known(content.kind)).time():
            outcome = _dispatch(content, gateway)
        metrics.HANDLED.labels(outcome.name.lower()).inc()
        extra["outcome"] = outcome.value
        spans.tell(order=content.order_number, kind=content.kind, outcome=outcome.value)
        logger.info("Message handled", extra=extra)
    except FutureVersion:
        metrics.HANDLED.labels("future_version").inc()
        logger.warning("A message of a newer release was put back", extra=extra)
        return Verdict.PUT_BACK, FUTURE_VERSION_SECONDS
    except PoisonMessage as error:
        extra["reason"] = str(error)
        metrics.HANDLED.labels("poison").inc()
        logger.error("Not a message of this shop, left for the dead-letter queue", extra=extra)
        return Verdict.PUT_BACK, POISON_SECONDS
    except UnknownOrder:
        metrics.HANDLED.labels("unknown_order").inc()
        logger.error("No order has this number, left for the dead-letter queue", extra=extra)
        return Verdict.PUT_BACK, POISON_SECONDS
    except Exception:
        # Anything else is a fault of ours or of the database: the message must come again.
        metrics.HANDLED.labels("failed").inc()
        logger.exception("Settling failed, the message comes again", extra=extra)
        connection.close()
        return Verdict.PUT_BACK, failed_seconds(message.receive_count)
    if outcome is Settled.BUSY:
        return Verdict.PUT_BACK, busy_seconds(message.receive_count)
    return Verdict.DELETE, 0


def _known(kind: str) -> str:
    """What a message says of itself is no label: anything could be in it."""
    return kind if kind in HANDLERS else "unknown"


def busy_seconds(receive_count: int) -> int:
    """Soon at first, since the other worker is mostly done in a moment; then for longer than any
    lease, so that a worker that died costs no message its way to the dead-letter queue."""
    if receive_count <= len(BUSY_SECONDS):
        return BUSY_SECONDS[max(0, receive_count - 1)]
    lease_seconds: float = settings.PAYMENT_LEASE_SECONDS
    return max(30, math.ceil(lease_seconds))


def failed_seconds(receive_count: int) -> int:
    """Longer each time: while the database is away or its disk full, every message in hand fails,
    and five failures within a minute would fill the dead-letter queue with good ones."""
    return FAILED_SECONDS[min(max(1, receive_count), len(FAILED_SECONDS)) - 1]


def _dispatch(content: OrderMessage, gateway: Gateway) -> Settled:
    act = HANDLERS.get(content.kind)
    if act is None:
        # Well-formed, so most likely of a newer release, whose workers come during the next
        # minutes. One that nobody knows ends in the dead-letter queue all the same: SQS moves it
        # after five receives, 25 minutes from the first.
        raise FutureVersion
    return act(content.order_number, gateway, clock=timezone.now)


@dataclass
class _Hand:
    """The messages in hand, shared by the receiving loop, the threads and the keeper."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    working: dict[str, str] = field(default_factory=dict)  # message id → receipt handle
    done: list[str] = field(default_factory=list)  # receipt handles to delete
    wake: threading.Event = field(default_factory=threading.Event)
    full: threading.Event = field(default_factory=threading.Event)  # a batch of them, or the end

    def take(self, message: Incoming) -> None:
        with self.lock:
            self.working[message.id] = message.receipt_handle

    def let_go(self, message: Incoming, *, delete: bool) -> None:
        with self.lock:
            self.working.pop(message.id, None)
            if delete:
                self.done.append(message.receipt_handle)
            if len(self.done) >= BATCH:
                self.full.set()
        if delete:
            self.wake.set()

    def handles_in_work(self) -> list[str]:
        with self.lock:
            return list(self.working.values())

    def take_done(self) -> list[str]:
        with self.lock:
            batch, self.done = self.done[:BATCH], self.done[BATCH:]
            if len(self.done) < BATCH:
                self.full.clear()
            if self.done:
                self.wake.set()
            return batch

    def close(self) -> None:
        self.full.set()
        self.wake.set()


class Worker:
    def __init__(
        self,
        queue: PaymentsQueue,
        gateway: Gateway,
        *,
        threads: int,
        wait_seconds: int,
        alive: Alive | None = None,
    ) -> None:
        self._alive = alive or Alive("worker")
        self._queue = queue
        self._gateway = gateway
        self._wait_seconds = wait_seconds
        self._hand = _Hand()
        self._free = threading.Semaphore(threads)
        self._threads = threads
        self._messages_queue = False

    def run(self, stopping: threading.Event) -> int:
        """Receive until `stopping` is set, then finish what is in hand; how many were not."""
        closed = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(closed,), name="keeper", daemon=True)
        keeper.start()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="settle")
        healthy = True
        is_time_to_look = Every(QUEUE_EVERY_SECONDS)
        while not stopping.is_set():
            try:
                close_old_connections()
                self._alive.beat()
                if is_time_to_look():
                    sample_queue(self._queue, now=timezone.now())
                if is_paused():
                    stopping.wait(PAUSE_SECONDS)
                else:
                    self.run_once(pool, stopping)
                healthy = True
            except (DatabaseError, *QUEUE_ERRORS) as error:
                # Nothing is received while the database is away: no message of it could be handled.
                if isinstance(error, DatabaseError):
                    connection.close()
                if healthy:
                    logger.error(
                        "Receiving failed, will go on trying",
                        extra={"error": type(error).__name__},
                    )
                healthy = False
                stopping.wait(PAUSE_SECONDS)
        connection.close()
        left = self._finish(pool)
        closed.set()
        self._hand.close()
        keeper.join(timeout=10)
        return left

    def run_once(self, pool: ThreadPoolExecutor, stopping: threading.Event) -> int:
        """Receive into the free threads; how many messages came."""
        free = self._claim_free_threads(stopping)
        if not free:
            return 0
        received = 0
        try:
            with fault_points("message received"):
                messages = self._queue.receive(at_most=free, wait_seconds=self._wait_seconds)
            received = len(messages)
            self._messages_queue = received == free
        finally:
            for _ in range(free - received):
                self._free.release()
        if stopping.is_set():  # came while we were told to stop: another worker's, at once
            self._show_again([message.receipt_handle for message in messages], seconds=0)
            for _ in messages:
                self._free.release()
            return 0
        for message in messages:
            self._hand.take(message)
            pool.submit(self._work, message)
        return received

    def _claim_free_threads(self, stopping: threading.Event) -> int:
        """At least one, waiting for it; at most what one receive can bring. 0 when stopping."""
        while not self._free.acquire(timeout=0.5):
            if stopping.is_set():
                return 0
        free = 1
        gathers = self._messages_queue and self._threads >= GATHER_FROM_THREADS
        until = time.monotonic() + (GATHER_SECONDS if gathers else 0)
        while free < BATCH and self._free.acquire(timeout=max(0, until - time.monotonic())):
            free += 1
        return free

    def _work(self, message: Incoming) -> None:
        delete = False
        try:
            close_old_connections()
            verdict, seconds = handle(message, self._gateway)
            delete = verdict is Verdict.DELETE
            if not delete:
                self._show_again([message.receipt_handle], seconds=seconds)
        finally:
            self._hand.let_go(message, delete=delete)
            self._free.release()

    def _keep(self, closed: threading.Event) -> None:
        """Delete what is done, and keep what is in work hidden from other workers."""
        beat = settings.MESSAGE_VISIBILITY_SECONDS / 4
        next_beat = time.monotonic() + beat
        while True:
            last_round = closed.is_set()
            if not last_round:
                self._hand.wake.wait(timeout=max(0.0, next_beat - time.monotonic()))
                self._hand.wake.clear()
                self._hand.full.wait(timeout=DELETE_WAIT_SECONDS)
            while batch := self._hand.take_done():
                with fault_points("message deleted"):
                    self._quietly(partial(self._queue.delete, batch), "delete")
                if not last_round and not self._hand.full.is_set():
                    break  # what is left waits for company again
            if time.monotonic() >= next_beat:
                next_beat = time.monotonic() + beat
                self._show_again(
                    self._hand.handles_in_work(), seconds=settings.MESSAGE_VISIBILITY_SECONDS
                )
            if last_round:
                return

    def _finish(self, pool: ThreadPoolExecutor) -> int:
        deadline = time.monotonic() + FINISH_SECONDS
        pool.shutdown(wait=False, cancel_futures=False)
        while self._hand.handles_in_work() and time.monotonic() < deadline:
            time.sleep(0.05)
        left = self._hand.handles_in_work()
        self._show_again(left, seconds=0)
        return len(left)

    def _show_again(self, receipt_handles: list[str], *, seconds: int) -> None:
        if receipt_handles:
            self._quietly(
                lambda: self._queue.change_visibility(receipt_handles, seconds=seconds),
                "change visibility",
            )

    def _quietly(self, act: Callable[[], int], what: str) -> None:
        """A message that could not be deleted or moved comes again, and is idempotent."""
        try:
            failed = act()
        except QUEUE_ERRORS as error:
            extra = {"act": what, "error": type(error).__name__}
            logger.warning("SQS did not answer about messages in hand", extra=extra)
        else:
            if failed:
                # Their receipt handles are old: the messages were received again meanwhile.
                logger.info(
                    "SQS refused about messages in hand", extra={"act": what, "count": failed}
                )
