"""The gateway is away for a day. The clock is moved, not waited for."""

import logging
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from unittest import mock

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.placing.place import place_order
from checkout.orders.queue.sqs import Incoming, Outgoing, PaymentsQueue
from payments.gateways.stripe.client import StripeGateway
from payments.worker.handle import Verdict, handle
from tests.support.factories import OpenBasket, line, purchase
from tests.support.long import at_length
from tests.support.till import Charge, Till, only

OUTAGE = timedelta(days=1)

# Orders are independent of each other, so fewer of them show the same as ten a minute.
BETWEEN_FEW_ORDERS, BETWEEN_ORDERS = timedelta(hours=8), timedelta(hours=2)


@dataclass
class DirectQueue:
    """Hands each message to a worker at once, once."""

    sent: list[Outgoing] = field(default_factory=list)

    def send(self, messages: list[Outgoing]) -> set[int]:
        self.sent += messages
        return set(range(len(messages)))


@dataclass
class Day:
    """Publisher and worker with a clock of their own."""

    now: datetime
    gateway: StripeGateway
    queue: DirectQueue = field(default_factory=DirectQueue)
    verdicts: Counter[Verdict] = field(default_factory=Counter)

    def run_until(self, end: datetime) -> None:
        while self.now < end:
            self._work()
            due = OutboxMessage.objects.filter(published_at=None).order_by("available_at").first()
            self.now = min(end, max(due.available_at if due else end, self.now))

    def _work(self) -> None:
        sweep(now=self.now)
        expire_unpaid(now=self.now)
        with mock.patch("payments.worker.handle.database_now", side_effect=lambda: self.now):
            while publish_outbox(_as_queue(self.queue), now=self.now):
                for sent in self.queue.sent:
                    message = Incoming(id="1", body=sent.body, receipt_handle="1", receive_count=1)
                    self.verdicts[handle(message, only(self.gateway))[0]] += 1
                self.queue.sent.clear()


def _as_queue(queue: DirectQueue) -> PaymentsQueue:
    return queue  # type: ignore[return-value] # the one method that publishing uses


class PerOrderAndHour(logging.Handler):
    """Counts what would wake somebody up."""

    def __init__(self, day: Day) -> None:
        super().__init__(logging.WARNING)
        self.day = day
        self.start = day.now
        self.counts: Counter[tuple[str, int]] = Counter()

    def emit(self, record: logging.LogRecord) -> None:
        hour = (self.day.now - self.start) // timedelta(hours=1)
        self.counts[getattr(record, "order", record.getMessage()), hour] += 1


@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    "between", [BETWEEN_FEW_ORDERS, *at_length(BETWEEN_ORDERS)], ids=["few orders", "many orders"]
)
def test_outage_of_a_day_loses_nothing_fills_no_log_and_no_dead_letter_queue(
    shelf: list[Product], gateway: StripeGateway, till: Till, between: timedelta
) -> None:
    nobody = StripeGateway(secret_key="sk_test_x", api_base="http://127.0.0.1:9")
    day = Day(now=timezone.now(), gateway=nobody)
    back_at = day.now + OUTAGE
    lines = PerOrderAndHour(day)
    logging.getLogger().addHandler(lines)
    orders = []
    while day.now < back_at:
        basket = OpenBasket([line(shelf[0])])
        orders.append(place_order(purchase(), basket, now=day.now))
        day.run_until(day.now + between)
    logging.getLogger().removeHandler(lines)
    assert {order.status for order in Order.objects.all()} == {"placed"}

    day.gateway = gateway
    day.run_until(day.now + timedelta(hours=1, minutes=1))

    assert {order.status for order in Order.objects.all()} == {"paid"}
    expected = Counter(Charge(order.number, order.total_minor, "EUR") for order in orders)
    assert Counter(till.charges()) == expected
    # A message that is put back counts as received; five of those are the dead-letter queue.
    assert set(day.verdicts) == {Verdict.DELETE}
    assert max(lines.counts.values()) == 1
    print(
        f"\n{len(orders)} orders, {day.verdicts.total()} messages, "
        f"{lines.counts.total()} lines at WARNING, at most one for an order in an hour"
    )
