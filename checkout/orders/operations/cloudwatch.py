"""Tells Amazon CloudWatch what Prometheus is told, by log lines of their own.

A line is in the embedded metric format: CloudWatch makes metrics of the numbers that its `_aws`
names (CloudWatch User Guide, "Specification: Embedded metric format"). So a process needs neither a
right nor a library for it, and a line that nobody reads costs nothing. The numbers come from
`checkout.runtime.metrics`. A figure of the whole shop is written by whoever has just looked it up,
so that it is missing when nobody looks. Counters are written as what came since the last line,
which CloudWatch adds up over all processes; a process that ends leaves half a minute untold.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from prometheus_client.metrics import MetricWrapperBase

from checkout.runtime import metrics
from checkout.runtime.loop import Every

logger = logging.getLogger(__name__)

# Two lines fall into each minute, which is the shortest period of an alarm in deploy/.
TELL_EVERY_SECONDS = 30.0


@dataclass(frozen=True)
class Figure:
    """One metric at CloudWatch. `only` names the values of a label that count; empty: all do."""

    name: str
    metric: MetricWrapperBase
    unit: str = "Count"
    only: tuple[str, ...] = ()

    def value(self) -> float:
        """The figure of this process; of a histogram, how often something was measured."""
        return sum(
            sample.value
            for family in self.metric.collect()
            for sample in family.samples
            if sample.name in (family.name, f"{family.name}_total", f"{family.name}_count")
            and (not self.only or set(self.only) & set(sample.labels.values()))
        )


# The publisher looks these up.
SHOP = (
    Figure("OutboxAgeSeconds", metrics.OUTBOX_AGE, "Seconds"),
    Figure("MailsAgeSeconds", metrics.MAILS_AGE, "Seconds"),
    Figure("WebhooksAgeSeconds", metrics.WEBHOOKS_AGE, "Seconds"),
    Figure("OrdersNeedingAPerson", metrics.NEEDS_PERSON),
    Figure("OrdersWaitingTooLong", metrics.WAITING_TOO_LONG),
    Figure("ToSendAgeSeconds", metrics.TO_SEND_AGE, "Seconds"),
    Figure("PaymentsPaused", metrics.PAUSED),
)
# One process of each worker looks these up.
QUEUE = (
    Figure("BacklogPerWorker", metrics.BACKLOG_PER_WORKER),
    Figure("DeadLetters", metrics.DEAD_LETTERS),
    Figure("GatewayRefusesShop", metrics.GATEWAY_REFUSES),
    Figure("LostOrders", metrics.LOST_ORDERS),
)
# Every process counts what happens in it.
COUNTED = (
    Figure("OrdersPlaced", metrics.ORDERS_PLACED),
    Figure("OrdersPaid", metrics.OUTCOMES, only=("paid",)),
    Figure("PaymentsDeclined", metrics.OUTCOMES, only=("declined",)),
    Figure("GatewayCalls", metrics.GATEWAY_SECONDS),
    Figure(
        "GatewayCallsWithoutOutcome",
        metrics.GATEWAY_SECONDS,
        only=("NotExecuted", "OutcomeUnknown"),
    ),
    Figure("MessagesFailed", metrics.HANDLED, only=("failed",)),
    Figure("PoisonMessages", metrics.HANDLED, only=("poison", "unknown_order")),
    Figure("LeasesExpired", metrics.LEASES_EXPIRED),
    Figure("WebhooksGivenUp", metrics.WEBHOOKS_SENT, only=("given_up",)),
    Figure("WebhooksRefused", metrics.WEBHOOKS, only=("bad_signature",)),
)

# Where this one is missing, all processes of a kind have died.
ALIVE = "Alive"
PROCESS = "Process"  # the dimension: web, publisher, worker, mailer or webhook_sender


class _Told:
    """What this process has told, and since when the next line of each kind is due."""

    def __init__(self) -> None:
        self._due: dict[str, Every] = {}
        self._counts: dict[str, float] = {}
        self._one_at_a_time = threading.Lock()

    def is_due(self, line: str) -> bool:
        """False as well while another thread is about to write."""
        if not settings.CLOUDWATCH_NAMESPACE or not self._one_at_a_time.acquire(blocking=False):
            return False
        try:
            return self._due.setdefault(line, Every(TELL_EVERY_SECONDS))()
        finally:
            self._one_at_a_time.release()

    def growth(self, figure: Figure) -> float:
        before, now = self._counts.get(figure.name, 0.0), figure.value()
        self._counts[figure.name] = now
        return now - before


_told = _Told()


def tell_of_shop() -> None:
    """Called when the figures of `SHOP` were looked up, however often that is."""
    if _told.is_due("shop"):
        _write({figure.name: figure.value() for figure in SHOP}, [_directive(SHOP)])


def tell_of_queue() -> None:
    """Called when the figures of `QUEUE` were looked up, however often that is."""
    if _told.is_due("queue"):
        _write({figure.name: figure.value() for figure in QUEUE}, [_directive(QUEUE)])


def tell_of_process(kind: str) -> None:
    """Called whenever a process gets somewhere, however often that is."""
    if _told.is_due("process"):
        members: dict[str, Any] = {figure.name: _told.growth(figure) for figure in COUNTED}
        alive = _directive_of([{"Name": ALIVE, "Unit": "Count"}], [PROCESS])
        _write({**members, ALIVE: 1, PROCESS: kind}, [alive, _directive(COUNTED)])


def forget_what_was_told() -> None:
    """For tests: go on as a process that has just begun, with what it has counted so far told."""
    global _told
    _told = _Told()
    for figure in COUNTED:
        _told.growth(figure)


def _directive(figures: Iterable[Figure]) -> dict[str, Any]:
    return _directive_of([{"Name": each.name, "Unit": each.unit} for each in figures], [])


def _directive_of(names: Sequence[dict[str, str]], dimensions: list[str]) -> dict[str, Any]:
    """A MetricDirective of the specification. Without a dimension its set of dimensions is empty:
    a namespace is one shop."""
    return {
        "Namespace": settings.CLOUDWATCH_NAMESPACE,
        "Dimensions": [dimensions],
        "Metrics": list(names),
    }


def _write(members: dict[str, Any], directives: list[dict[str, Any]]) -> None:
    logger.info("Metrics for CloudWatch", extra={**members, "cloudwatch_metrics": directives})
