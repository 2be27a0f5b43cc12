"""The worker: receive, settle, commit, and only then delete.

Who holds a message, and when:

    main thread      receives the message and notes it         SQS hides it from the others until
        |            in `InFlight`                             its visibility time-out ends
        v
    one of the       handles it, after those of its order      other workers find the lease taken,
    threads          that came with it: takes the payment's    and put the order's message back
        |            lease, asks the gateway, commits
        |
        +--- not done: SQS shows the message again after some seconds, to any worker
        v
    keeper thread    deletes it, together with others          the message is gone

    meanwhile        the keeper renews leases and visibility time-outs of what takes long
    process dies     its parent ends the leases and shows the messages again (`give_back`)
    parent dies too  leases and visibility time-outs end by themselves, within half a minute

The receiving loop asks for no more messages than there are free threads, so none waits in hand but
for another one of its order.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from django.conf import settings
from django.db import close_old_connections, connection

from checkout.orders.operations.cloudwatch import tell_of_queue
from checkout.orders.operations.gauges import QUEUE_EVERY_SECONDS, measure_queue
from checkout.orders.operations.liveness import Alive
from checkout.orders.pausing import is_paused
from checkout.orders.queue.sqs import BATCH, QUEUE_ERRORS, Incoming, PaymentsQueue
from checkout.runtime.clock import database_now
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.loop import Every, run_loop
from payments.books.lost_orders import sample_lost
from payments.gateways.load import Gateways
from payments.restoring.give_up_lost import give_up_next
from payments.settling.leases import renew_leases
from payments.settling.refused_shop import sample_refusal
from payments.worker.handle import Verdict, handle
from payments.worker.in_flight import Held, InFlight, by_order, order_numbers

logger = logging.getLogger(__name__)

# A call of SQS costs as much for one message as for ten, so deletes wait for company. The outcome
# is committed by then: only a next message of the same order waits.
DELETE_WAIT_SECONDS = 0.1

# And where messages queue, a receive waits for as many free threads as it can fill. A worker of few
# threads has few messages, and asks at once.
GATHER_SECONDS = 0.1
GATHER_FROM_THREADS = 2 * BATCH

# SIGTERM lets what is in hand finish for so long.
FINISH_SECONDS = 60

# How often a worker looks whether payments are still paused.
PAUSED_SECONDS = 1.0


# How often one of its processes looks for payments of lost orders that are to be given up.
GIVE_UP_EVERY_SECONDS = 2.0


class Worker:
    def __init__(
        self,
        queue: PaymentsQueue,
        gateways: Gateways,
        *,
        threads: int,
        wait_seconds: int,
        alive: Alive | None = None,
        in_flight: InFlight | None = None,
        samples_queue: bool = True,
    ) -> None:
        self._alive = alive or Alive("worker")
        self._queue = queue
        self._gateways = gateways
        self._wait_seconds = wait_seconds
        self._in_flight = in_flight or InFlight(threads)
        self._samples_queue = samples_queue
        self._is_time_to_sample = Every(QUEUE_EVERY_SECONDS)
        self._is_time_to_give_up = Every(GIVE_UP_EVERY_SECONDS)
        self._stopping = threading.Event()
        self._free = threading.Semaphore(threads)
        self._threads = threads
        self._messages_queue = False

    def run(self, stopping: threading.Event) -> int:
        """Receive until `stopping` is set, then finish what is in flight; how many were not."""
        self._stopping = stopping
        closed = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(closed,), name="keeper", daemon=True)
        keeper.start()
        pool = ThreadPoolExecutor(self._threads, thread_name_prefix="settle")
        run_loop(
            lambda: self._turn(pool, stopping),
            stopping,
            doing="Receiving",
            log=logger,
            beat=self._alive.beat,
            idle_seconds=PAUSED_SECONDS,
            outages=QUEUE_ERRORS,
        )
        connection.close()
        self._finish(pool)
        closed.set()
        self._in_flight.wake_keeper()
        keeper.join(timeout=10)
        # This comes after the keeper, which would hide again what it holds.
        left = [held.message for held in self._in_flight.held()]
        self._show_again(left, seconds=0)
        return len(left)

    def _turn(self, pool: ThreadPoolExecutor, stopping: threading.Event) -> bool:
        """Whether SQS was asked. While the database is away, its errors end the turn before."""
        if self._samples_queue and self._is_time_to_sample():
            measure_queue(self._queue, now=database_now())
            sample_refusal()
            sample_lost()
            tell_of_queue()
        if is_paused():
            return False
        if self._samples_queue and self._is_time_to_give_up():
            give_up_next(self._gateways, clock=database_now)
        self.run_once(pool, stopping)
        return True

    def run_once(self, pool: ThreadPoolExecutor, stopping: threading.Event) -> int:
        """Receive into the free threads; how many messages came."""
        free = self._claim_free_threads(stopping)
        if not free:
            return 0
        received = 0
        try:
            self._in_flight.receive_begins()
            with fault_points("message received"):
                messages = self._queue.receive(
                    at_most=free,
                    wait_seconds=self._wait_seconds,
                    attempt_id=self._in_flight.attempt_id,
                )
            self._messages_queue = len(messages) >= free
            # A repetition of a receive may bring more than was asked for this time.
            messages, others = messages[:free], messages[free:]
            received = len(messages)
        finally:
            for _ in range(free - received):
                self._free.release()
        if stopping.is_set():  # came while we were told to stop: another worker's, at once
            self._show_again([*messages, *others], seconds=0)
            for _ in messages:
                self._free.release()
            return 0
        held = [self._in_flight.take(message) for message in messages]
        self._in_flight.receive_ended()
        for of_one_order in by_order(held):
            pool.submit(self._work_in_turn, of_one_order)
        self._show_again(others, seconds=0)
        return received

    def _claim_free_threads(self, stopping: threading.Event) -> int:
        """Wait for one free thread, and claim a receive's worth; 0 when the worker stops."""
        while not self._free.acquire(timeout=0.5):
            if stopping.is_set():
                return 0
        free = 1
        gathers = self._messages_queue and self._threads >= GATHER_FROM_THREADS
        until = time.monotonic() + (GATHER_SECONDS if gathers else 0)
        while free < BATCH and self._free.acquire(timeout=max(0, until - time.monotonic())):
            free += 1
        return free

    def _work_in_turn(self, held: list[Held]) -> None:
        """The messages of one order, of which SQS hands over as many together as it can (SQS
        developer guide, "FIFO queue delivery logic"). At once, all but one would find the order
        taken, and cost a further receive each."""
        first, *others = held
        try:
            self._work(first)
        finally:
            if others:
                self._work_in_turn(others)

    def _work(self, held: Held) -> None:
        delete = False
        message = held.message
        try:
            close_old_connections()
            verdict, seconds = handle(
                message, self._gateways, lease_token=held.lease_token, stopping=self._stopping
            )
            delete = verdict is Verdict.DELETE
            if not delete:
                self._show_again([message], seconds=seconds)
        finally:
            self._in_flight.let_go(held, delete=delete)
            self._free.release()

    def _keep(self, closed: threading.Event) -> None:
        """Delete what is done, and renew what is held for long."""
        renewal = min(settings.MESSAGE_VISIBILITY_SECONDS, settings.PAYMENT_LEASE_SECONDS) / 4
        next_renewal = time.monotonic() + renewal
        while True:
            last_round = closed.is_set()
            if not last_round:
                self._in_flight.wake.wait(timeout=max(0.0, next_renewal - time.monotonic()))
                self._in_flight.wake.clear()
                self._in_flight.full.wait(timeout=DELETE_WAIT_SECONDS)
            while batch := self._in_flight.take_done():
                with fault_points("message deleted"):
                    self._quietly(partial(self._queue.delete, batch), "delete")
                if not last_round and not self._in_flight.full.is_set():
                    break  # what is left waits for company again
            if time.monotonic() >= next_renewal:
                next_renewal = time.monotonic() + renewal
                self._renew(self._in_flight.held(for_seconds=renewal / 2))
            if last_round:
                connection.close()
                return

    def _renew(self, held: list[Held]) -> None:
        """Lease and visibility, so that both may be short: a process that died renews nothing."""
        if not held:
            return
        visibility: int = settings.MESSAGE_VISIBILITY_SECONDS
        self._show_again([one.message for one in held], seconds=visibility)
        try:
            renew_leases(
                [one.lease_token for one in held],
                order_numbers=order_numbers(one.message.body for one in held),
            )
        except DATABASE_ERRORS as error:
            connection.close()
            extra = {"count": len(held), "error": type(error).__name__}
            logger.warning("Leases were not renewed", extra=extra)

    def _finish(self, pool: ThreadPoolExecutor) -> None:
        deadline = time.monotonic() + FINISH_SECONDS
        pool.shutdown(wait=False, cancel_futures=False)
        while self._in_flight.held() and time.monotonic() < deadline:
            time.sleep(0.05)

    def _show_again(self, messages: list[Incoming], *, seconds: int) -> None:
        if handles := [message.receipt_handle for message in messages]:
            act = partial(self._queue.change_visibility, handles, seconds=seconds)
            self._quietly(act, "change visibility")

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
