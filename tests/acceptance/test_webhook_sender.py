"""Senders of webhooks are killed: each webhook arrives, and twice at most what was in hand."""

import signal
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from standardwebhooks import Webhook

from checkout.catalogue.models import Product
from checkout.orders.models import Order, ProcessAlive, WebhookDelivery, open_deliveries
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks.endpoints import add_endpoint
from checkout.orders.webhooks.sender import EACH
from tests.doubles.webhook_receiver import Receiver, webhook_receiver
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually
from tests.support.webhook_kinds import AFTER_PLACING

SIGKILLED = -signal.SIGKILL


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def all_sent() -> bool:
    return not open_deliveries().exists()


def test_killed_between_sending_and_recording_doubles_at_most_what_was_in_hand(
    processes: ShopProcesses, shelf: list[Product], receiver: Receiver, tmp_path: Path
) -> None:
    endpoint = add_endpoint(receiver.url, AFTER_PLACING)
    for _ in range(6):
        order = placed_order(shelf[0])
        transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    killed = processes.webhook_sender(FAULT_POINT="kill after webhook sent")
    assert killed.wait(timeout=60) == SIGKILLED
    assert 1 <= len(receiver.received) <= EACH
    # Their claims run out in minutes; here at once.
    WebhookDelivery.objects.update(claimed_until=None)

    sender = processes.webhook_sender("--alive-file", str(tmp_path / "alive"))

    eventually(all_sent, seconds=60, what="sending")
    sender.terminate()
    assert sender.wait(timeout=20) == 0
    assert processes.has_said(sender, "Webhook sender stopped.")
    assert (tmp_path / "alive").exists()
    assert ProcessAlive.objects.filter(kind="webhook_sender").exists()
    times = Counter(each.id for each in receiver.received)
    assert len(times) == 6
    doubled = [count for count in times.values() if count > 1]
    assert 1 <= len(doubled) <= EACH
    assert set(doubled) == {2}
    bodies = defaultdict(set)
    for each in receiver.received:
        Webhook(endpoint.secret).verify(each.body, each.headers)
        bodies[each.id].add(each.body)
    assert all(len(same) == 1 for same in bodies.values())
    numbers = {each.json["data"]["number"] for each in receiver.received}
    assert numbers == set(Order.objects.values_list("number", flat=True))
