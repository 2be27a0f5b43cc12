"""What the shop's processes write for CloudWatch, as they are run: each kind is seen to live, and
what all of them counted adds up to what is in the books."""

import json
from collections import Counter

import pytest

from checkout.catalogue.models import Product
from checkout.orders.operations.cloudwatch import COUNTED, QUEUE, SHOP, TELL_EVERY_SECONDS
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from config.local.processes import free_port
from tests.deploy.cloud_alarms import Alarms, Minutes
from tests.deploy.templates import template
from tests.support.cloudwatch import NAMESPACE, Figure, figures
from tests.support.long import long
from tests.support.processes import ShopProcesses, WebProcess, eventually
from tests.support.shopper import OverHttp, Shopper, somebody_else
from tests.support.till import Till, assert_each_paid_once

KINDS = {"web", "publisher", "worker", "mailer", "webhook_sender"}

# Errors alone are logged: figures are told all the same.
TOLD = {"CLOUDWATCH_NAMESPACE": NAMESPACE, "LOG_LEVEL": "ERROR"}


def started(processes: ShopProcesses) -> WebProcess:
    web = processes.web("--workers=2", **TOLD)
    processes.publisher(**TOLD)
    # With figures for Prometheus as well, which processes then keep in files.
    processes.worker("--processes", "2", f"--metrics-port={free_port()}", **TOLD)
    processes.mailer(SHOP_URL="https://shop.example", **TOLD)
    processes.webhook_sender(**TOLD)
    return web


def told(processes: ShopProcesses) -> list[Figure]:
    return figures(processes.lines())


def test_every_kind_of_process_is_seen_to_live_and_the_shop_is_described(
    processes: ShopProcesses,
) -> None:
    started(processes)

    def alive() -> set[str]:
        return {value for each in told(processes) for _, value in each.dimensions}

    def names() -> set[str]:
        return {figure.name for figure in told(processes)}

    eventually(lambda: alive() == KINDS, what="a line of each kind")
    expected = {figure.name for figure in (*SHOP, *QUEUE, *COUNTED)} | {"Alive"}
    eventually(lambda: names() == expected, what="every figure")
    lines = [json.loads(line) for line in processes.lines() if line.startswith("{")]
    assert {line["message"] for line in lines if line["levelname"] == "INFO"} == {
        "Metrics for CloudWatch"
    }


def test_lines_of_a_shop_without_a_publisher_and_with_a_dead_letter_ring_two_alarms(
    processes: ShopProcesses, queue: PaymentsQueue
) -> None:
    """Nothing waits in the queue: that no publisher writes is all that can be seen of its death."""
    sqs_client().send_message(
        QueueUrl=queue.dead_letter_queue().url,
        MessageBody="given up",
        MessageGroupId="one",
        MessageDeduplicationId="one",
    )
    processes.web(**TOLD)
    processes.worker(**TOLD)
    processes.mailer(SHOP_URL="https://shop.example", **TOLD)
    processes.webhook_sender(**TOLD)
    alarms = Alarms(
        template("alarms"),
        dict.fromkeys(["PaymentsQueueName", "DeadLetterQueueName", "DatabaseName"], "unseen here"),
    )

    def ringing() -> set[str]:
        minute = told(processes)
        return alarms.ringing(Minutes(minute, 60, minute))

    eventually(
        lambda: ringing() == {"PublisherMissingAlarm", "DeadLetterAlarm"}, what="these two alarms"
    )


@long
@pytest.mark.timeout(TELL_EVERY_SECONDS * 10)
def test_what_all_processes_counted_adds_up_to_the_books(
    processes: ShopProcesses, shelf: list[Product], till: Till
) -> None:
    web = started(processes)
    for _ in range(6):
        shopper = Shopper(OverHttp(web.url), somebody_else())
        shopper.add_to_cart("SKU-01")
        assert shopper.submit(shopper.open_checkout()).status == 303
    assert_each_paid_once(till)

    def counted() -> Counter[str]:
        web.is_ready()  # as the load balancer asks
        total: Counter[str] = Counter()
        for figure in told(processes):
            total[figure.name] += int(figure.value)
        return total

    def is_complete() -> bool:
        total = counted()
        return total["OrdersPlaced"] == total["OrdersPaid"] == 6

    eventually(is_complete, seconds=TELL_EVERY_SECONDS * 3, what="the next lines")
    total = counted()
    assert total["GatewayCalls"] == 12
    assert total["GatewayCallsWithoutOutcome"] == 0
    assert total["MessagesFailed"] == total["PoisonMessages"] == total["LeasesExpired"] == 0
