"""What Prometheus is told by several processes adds up to what is in the books."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from django.db.models import Sum
from django.test import Client
from django.utils import timezone
from prometheus_client.parser import text_string_to_metric_families
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage, ProcessAlive, QueueSeen
from config.local.processes import free_port
from payments.models import PaymentAttempt
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper, somebody_else
from tests.support.till import Till, assert_each_paid_once

TOKEN = "for-prometheus-alone"


def scraped(address: str, token: str = "") -> Counter[str]:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answer = requests.get(address, headers=headers, timeout=30)
    answer.raise_for_status()
    return Counter(
        {
            f"{sample.name}{sorted(sample.labels.values()) or ''}": sample.value
            for family in text_string_to_metric_families(answer.text)
            for sample in family.samples
            if sample.name.startswith("shop_") and not sample.name.endswith("_created")
        }
    )


def test_figures_of_two_web_and_two_worker_processes_are_those_of_the_books(
    processes: ShopProcesses, shelf: list[Product], till: Till, tmp_path: Path
) -> None:
    web = processes.web(
        "--workers=2", METRICS_TOKEN=TOKEN, PROMETHEUS_MULTIPROC_DIR=str(tmp_path / "prometheus")
    )
    ports = [free_port() for _ in range(3)]
    for port in ports[:2]:
        processes.worker("--metrics-port", str(port), "--processes", "2")
    processes.publisher("--metrics-port", str(ports[2]))

    def buy(number: int) -> None:
        shopper = Shopper(OverHttp(web.url), somebody_else())
        shopper.add_to_cart("SKU-01")
        form = shopper.open_checkout()
        for _ in range(1 + number % 3):
            assert shopper.submit(form).status == 303

    with ThreadPoolExecutor(4) as shoppers:
        list(shoppers.map(buy, range(24)))
    assert_each_paid_once(till)

    def told() -> Counter[str]:
        together = scraped(f"{web.url}/metrics", TOKEN)
        for port in ports:
            together.update(scraped(f"http://127.0.0.1:{port}/metrics"))
        return together

    absorbed = Order.objects.aggregate(total=Sum("resubmission_count"))["total"]
    assert absorbed == 24
    # All orders may be paid before the last worker has started, which then listens too.
    kinds = ProcessAlive.objects.order_by("kind").values_list("kind", flat=True)
    eventually(lambda: list(kinds.all()) == ["publisher", *["worker"] * 4], what="their lives")
    # Both are counted after what they count was committed.
    eventually(lambda: told()["shop_messages_published_total"] == 24, what="the publisher's count")
    eventually(lambda: told()["shop_messages_handled_total['paid']"] == 24, what="the workers'")
    figures = told()
    assert figures["shop_orders_placed_total"] == 24
    assert figures["shop_resubmissions_absorbed_total['same']"] == absorbed
    assert figures["shop_payment_outcomes_total['paid']"] == 24
    assert figures["shop_order_paid_seconds_count"] == 24
    assert figures["shop_payment_attempts_sum"] == 24  # each at the first try
    # There from the start, or the first of them would be no growth to an alert.
    assert {"shop_messages_handled_total['poison']", "shop_leases_expired_total"} <= set(figures)
    name = "shop_gateway_call_seconds_count"
    calls = sum(value for key, value in figures.items() if key.startswith(name))
    assert calls == PaymentAttempt.objects.count()
    assert not OutboxMessage.objects.filter(published_at=None).exists()
    eventually(lambda: told()["shop_outbox_age_seconds"] == 0, what="the next look at the outbox")
    eventually(QueueSeen.objects.exists, what="the first look at the queue")
    assert QueueSeen.objects.get().dead_letters == 0


def test_publisher_that_never_reached_sqs_tells_how_long_messages_wait(
    processes: ShopProcesses, shelf: list[Product]
) -> None:
    placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() - timedelta(minutes=5))
    port, nobody = free_port(), f"http://127.0.0.1:{free_port()}"
    processes.publisher(f"--metrics-port={port}", AWS_ENDPOINT_URL=nobody)

    def waits() -> bool:
        try:
            return scraped(f"http://127.0.0.1:{port}/metrics")["shop_outbox_age_seconds"] >= 300
        except requests.ConnectionError:
            return False

    eventually(waits, seconds=60, what="telling")


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", TOKEN])
def test_web_figures_are_for_whom_the_shop_wants(
    client: Client, settings: Settings, given: str
) -> None:
    settings.METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"Authorization": given}).status_code == 404
    assert client.get("/metrics", headers={"Authorization": f"Bearer {TOKEN}"}).status_code == 200
    settings.METRICS_TOKEN = ""
    assert client.get("/metrics", headers={"Authorization": given}).status_code == 404
