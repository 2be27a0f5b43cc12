"""One purchase is one trace, in the lines of every process that had a part in it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checkout.orders.models import Order
from payments.models import WebhookEvent
from payments.sandbox.server import SandboxServer
from tests.acceptance.test_no_secrets import KEY, PERSON, WEBHOOK_SECRET, leaks
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper

Line = dict[str, Any]


@pytest.fixture
def sandbox(ledger_path: Path) -> Iterator[SandboxServer]:
    """Sends webhooks, to where its test says as soon as that is known."""
    server = SandboxServer(
        ledger_path=ledger_path, webhook_url="http://127.0.0.1:9/", webhook_secret=WEBHOOK_SECRET
    )
    server.start()
    yield server
    server.stop()


def logged(logs: Path, process: str) -> list[Line]:
    [log] = logs.glob(f"*-{process}.log")
    return [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]


def said(lines: list[Line], sentence: str) -> list[Line]:
    return [line for line in lines if line["message"] == sentence]


def test_one_trace_from_the_press_to_the_gateway_and_its_webhook(
    processes: ShopProcesses, sandbox: SandboxServer, tmp_path: Path
) -> None:
    settings = {"STRIPE_SECRET_KEY": KEY, "STRIPE_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    web = processes.web(**settings)
    sandbox.webhooks.url = f"{web.url}/payments/webhooks/stripe/"
    processes.publisher(**settings)
    processes.worker(**settings)
    shopper = Shopper(OverHttp(web.url), typed=PERSON | {"payment_method": "pm_card_visa"})

    shopper.buy("SKU-01")

    kinds = ["payment_intent.created", "payment_intent.succeeded"]
    eventually(lambda: list(Order.objects.values_list("status", flat=True)) == ["paid"])
    eventually(
        lambda: sorted(WebhookEvent.objects.values_list("kind", flat=True)) == kinds,
        what="the webhooks",
    )
    check = {"kind": "check_payment", "published_at__isnull": False}
    order = Order.objects.get()
    eventually(order.outbox_messages.filter(**check).exists, what="publishing what a webhook asks")
    worker_log = next((tmp_path / "logs").glob("*-run_payment_worker.log"))
    eventually(lambda: worker_log.read_text().count("Message handled") >= 2, what="both messages")
    processes.stop()

    of_web, of_publisher, of_worker = (
        logged(tmp_path / "logs", name)
        for name in ("gunicorn", "run_outbox_publisher", "run_payment_worker")
    )
    [placed] = said(of_web, "Order placed")
    assert len(placed["trace_id"]) == 32
    events = said(of_web, "An event about an order was received")
    assert sorted(line["kind"] for line in events) == kinds
    published = said(of_publisher, "Message published")
    assert [line["kind"] for line in published] == ["settle_payment", "check_payment"]
    asked = said(of_worker, "The gateway was asked")
    assert [line["step"] for line in asked][:2] == ["open", "confirm"]
    assert [line["outcome"] for line in asked][:2] == ["open", "paid"]
    assert all(line["duration_ms"] >= 0 for line in asked)
    about_it = [line for line in of_web + of_publisher + of_worker if "order" in line]
    assert len(about_it) >= 9
    assert {line["order"] for line in about_it} == {order.number}
    assert {line["trace_id"] for line in about_it} == {placed["trace_id"]}
    assert [line for line in processes.said().splitlines() if leaks(line)] == []
    assert order.reference not in processes.said()
