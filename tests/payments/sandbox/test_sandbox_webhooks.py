"""The sandbox tells the shop of its events as Stripe does: signed, repeated, in any order."""

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from checkout.catalogue.models import Product
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order
from payments.gateways.stripe.client import StripeGateway
from payments.models import WebhookEvent
from payments.sandbox.clock import utc_now
from payments.sandbox.server import SandboxServer
from payments.sandbox.webhooks import WebhookSender
from tests.support.asked import asked
from tests.support.factories import placed_order
from tests.support.processes import eventually
from tests.support.till import Till

SECRET = "whsec_of_the_tests"


@pytest.fixture
def sandbox(
    ledger_path: Path, live_server: LiveServer, settings: Settings
) -> Iterator[SandboxServer]:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    server = SandboxServer(
        ledger_path=ledger_path,
        webhook_url=f"{live_server.url}/payments/webhooks/stripe/",
        webhook_secret=SECRET,
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def wish(sandbox: SandboxServer, **wishes: object) -> requests.Response:
    return requests.post(f"{sandbox.url}/sandbox/webhooks", json=wishes, timeout=10)


def received() -> list[str]:
    return sorted(WebhookEvent.objects.values_list("kind", flat=True))


def test_shop_is_told_what_happened(order: Order, till: Till, sandbox: SandboxServer) -> None:
    """Stripe API reference, "Types of events"."""
    till.settle(order)

    kinds = ["payment_intent.created", "payment_intent.succeeded"]
    eventually(lambda: received() == kinds, what="telling the shop")
    assert set(WebhookEvent.objects.values_list("order", flat=True)) == {order.pk}
    listed = requests.get(f"{sandbox.url}/sandbox/events", timeout=10).json()["events"]
    assert [event["type"] for event in listed] == kinds


def test_twice_and_shuffled_they_change_nothing(
    order: Order, till: Till, sandbox: SandboxServer
) -> None:
    """Stripe docs, "Receive Stripe events in your webhook endpoint": duplicates, no order."""
    wish(sandbox, hold=True)
    till.settle(order)
    assert wish(sandbox, release=7).json() == {"sent": 4}  # two events, each twice

    eventually(lambda: len(received()) == 2, what="telling the shop")
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == "paid"
    assert len(till.charges()) == 1


def test_shop_that_refuses_is_told_again(
    order: Order, till: Till, settings: Settings, sandbox: SandboxServer
) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = []
    till.settle(order)
    assert received() == []

    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]

    eventually(lambda: len(received()) == 2, what="telling the shop again")


def test_answer_does_not_wait_for_a_shop_that_is_away(ledger_path: Path) -> None:
    server = SandboxServer(ledger_path=ledger_path, webhook_url="http://127.0.0.1:9/")
    server.start()
    gateway = StripeGateway(secret_key="sk_test_x", api_base=server.url)

    opened = gateway.open(
        asked(order=OrderIdentity(number="100001-19"), amount_minor=100),
        idempotency_key="open-1",
    )
    server.stop()

    assert opened.order.number == "100001-19"


def test_nothing_is_told_after_the_end(ledger_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tells, told = threading.Event(), threading.Event()

    def shop(*_: object, **__: object) -> requests.Response:
        tells.set()
        time.sleep(0.1)
        told.set()
        raise requests.ConnectionError

    monkeypatch.setattr("payments.sandbox.webhooks.requests.post", shop)
    server = SandboxServer(ledger_path=ledger_path, webhook_url="http://shop.example/")
    server.start()
    server.webhooks.notify("charged", {})
    eventually(tells.is_set, what="telling the shop")

    server.stop()

    assert told.is_set()


@pytest.mark.parametrize("body", [b"", b"[]", json.dumps({"release": "x"}).encode()])
def test_wish_that_makes_no_sense_is_refused(sandbox: SandboxServer, body: bytes) -> None:
    answer = requests.post(f"{sandbox.url}/sandbox/webhooks", data=body, timeout=10)

    assert answer.status_code == 400


def test_shop_that_is_slow_to_answer_one_event_is_told_of_others_meanwhile(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    heard: list[str] = []
    answers = threading.Event()

    def shop(url: str, *, data: bytes, timeout: float, **_: object) -> requests.Response:
        heard.append(json.loads(data)["data"]["object"]["id"])
        if heard[-1] == "pi_first":
            answers.wait(timeout)
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr("payments.sandbox.webhooks.requests.post", shop)
    sender = WebhookSender(url="http://shop.example/hook/", secret=SECRET, clock=utc_now)
    sender.start()
    try:
        sender.notify("charged", {"id": "pi_first"})
        eventually(lambda: heard == ["pi_first"], what="the first event")
        sender.notify("charged", {"id": "pi_second"})
        eventually(lambda: "pi_second" in heard, what="an event beside it", seconds=2)
    finally:
        answers.set()
        sender.stop()
