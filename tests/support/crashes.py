"""A process dies at a named place, or loses all its connections there; and what comes of it."""

import signal
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from django.utils import timezone

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from config.local.sqs_double.server import QueueServer
from payments.books.audit import audit_database
from payments.books.gateway_audit import audit_gateway
from payments.gateways.load import Gateways
from payments.models import Payment
from payments.worker.handle import Verdict, handle
from tests.support.long import all_or
from tests.support.processes import START_SECONDS, ShopProcesses, eventually
from tests.support.till import Charge

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

SIGKILLED = -signal.SIGKILL

# A worker's child dies alone, or its parent with it: its machine, as it were.
DEATHS = ("kill", "end", "cut")

STEP_SECONDS = 1.5

HOURS_LATER = timedelta(hours=2)


def faults(*places: str, acts: tuple[str, ...] = ("kill", "cut")) -> list[str]:
    return [
        f"{act} {when} {place}" for place in places for when in ("before", "after") for act in acts
    ]


def each_once(
    *places: str,
    begin: int = 0,
    acts: tuple[str, ...] = ("kill", "cut"),
    leave_out: Sequence[str] = (),
) -> "list[ParameterSet]":
    """All faults at these places, of which `make test` has one at each: all kinds in turn. What is
    left out of it happens at these places whatever the gateway, and another test shows it."""
    kinds = 2 * len(acts)
    once = [
        faults(place, acts=acts)[number % kinds]
        for number, place in enumerate(places, begin)
        if place not in leave_out
    ]
    return all_or(once, faults(*places, acts=acts))


class Afterwards:
    """What time and healthy processes do, as fast as a test can wait."""

    def __init__(
        self,
        gateways: Gateways,
        charges: Callable[[], list[Charge]],
        queue: PaymentsQueue,
        exact_sqs: QueueServer,
    ) -> None:
        self.gateways = gateways
        self.charges = charges
        self.queue = queue
        self.sqs = exact_sqs
        self._next_step = time.monotonic() + STEP_SECONDS

    def time_passes(self) -> None:
        """Claims, leases and visibility time-outs of whoever died run out; in steps, so that the
        living get something done in between."""
        if time.monotonic() < self._next_step:
            return
        self._next_step = time.monotonic() + STEP_SECONDS
        OutboxMessage.objects.update(claimed_until=None)
        Payment.objects.update(lease_until=None)
        self.sqs.clock.advance(10)

    def publish(self) -> None:
        """Also what waits to be asked later."""
        publish_outbox(self.queue, now=timezone.now() + HOURS_LATER)

    def work(self) -> None:
        while messages := self.queue.receive(at_most=10, wait_seconds=0):
            for message in messages:
                verdict, _ = handle(message, self.gateways)
                if verdict is Verdict.DELETE:
                    self.queue.delete([message.receipt_handle])

    def is_quiet(self) -> bool:
        return not any(self.sqs.messages().values()) and self.is_published()

    def is_published(self) -> bool:
        return not OutboxMessage.objects.filter(published_at=None).exists()

    def assert_one_order_one_charge(self, status: str = "paid") -> Order:
        order = Order.objects.get()
        assert order.status == status
        assert self.charges() == [Charge(order.number, order.total_minor, order.currency)]
        assert order.events.filter(to_status="paid").count() == 1
        now = timezone.now()
        findings = [*audit_database(now), *audit_gateway(self.gateways, now=now)]
        assert [row for finding in findings for row in finding.rows] == []
        moved = [entry for entry in self.sqs.journal if entry["did"] == "moved"]
        assert moved == []  # nothing went to the dead-letter queue
        return order


def work_through(
    fault: str, processes: ShopProcesses, afterwards: Afterwards, **environment: str
) -> None:
    """One worker meets the fault; it, its next child or the next worker finishes the rest."""
    worker = processes.worker(FAULT_POINT=fault, **environment)
    if fault.startswith("end"):
        assert worker.wait(timeout=START_SECONDS) == SIGKILLED
        worker = processes.worker(**environment)

    def converged() -> bool:
        afterwards.time_passes()
        afterwards.publish()
        return afterwards.is_quiet()

    eventually(converged, seconds=60, what="settling everything")
    assert worker.poll() is None
