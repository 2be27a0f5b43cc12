"""One command runs all of a shop of one machine but its web processes."""

import os
import signal
from collections.abc import Iterator
from subprocess import Popen

import pytest

from checkout.catalogue.models import Product
from checkout.orders.models import Mail, Order, ProcessAlive, open_deliveries
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.webhooks.endpoints import add_endpoint
from config.local.processes import children_of
from payments.sandbox.server import SandboxServer
from tests.doubles.smtp import MailServer, mail_server
from tests.doubles.webhook_receiver import Receiver, webhook_receiver
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually, is_alive
from tests.support.till import Till, assert_each_paid_once
from tests.support.webhook_kinds import AFTER_PLACING

KINDS = {"publisher", "mailer", "webhook_sender", "worker"}


@pytest.fixture
def mails() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def services(
    processes: ShopProcesses, queue: PaymentsQueue, sandbox: SandboxServer, mails: MailServer
) -> Popen[bytes]:
    told = {"EMAIL_URL": mails.url, "SHOP_URL": "https://shop.example"}
    arguments = ["--processes", "1", "--wait-seconds", "1", "--skip-checks"]
    services = processes.manage("run_services", *arguments, **told)
    eventually(lambda: len(children_of(services.pid)) == 2, what="the start of two children")
    return services


def everything_is_done(orders: int) -> bool:
    paid = Order.objects.filter(status="paid").count() == orders
    mailed = not Mail.objects.filter(sent_at=None).exists()
    return paid and mailed and not open_deliveries().exists()


def pid_of(kind: str) -> int:
    latest = ProcessAlive.objects.filter(kind=kind).latest("seen_at")
    return int(latest.name.rpartition(":")[2])


def test_orders_are_published_paid_mailed_and_told_also_after_a_death(
    services: Popen[bytes],
    shelf: list[Product],
    mails: MailServer,
    receiver: Receiver,
    till: Till,
) -> None:
    add_endpoint(receiver.url, AFTER_PLACING)
    placed_order(shelf[0])
    eventually(lambda: everything_is_done(1), what="paying, mailing and telling")
    assert {row.kind for row in ProcessAlive.objects.all()} == KINDS
    killed = pid_of("publisher")
    assert killed == pid_of("mailer") == pid_of("webhook_sender") != pid_of("worker")
    assert killed in children_of(services.pid)

    os.kill(killed, signal.SIGKILL)
    placed_order(shelf[0])

    eventually(lambda: everything_is_done(2), what="going on after the death")
    assert pid_of("publisher") != killed
    assert_each_paid_once(till)
    assert {each.json["data"]["number"] for each in receiver.received} == set(
        Order.objects.values_list("number", flat=True)
    )


def test_sigterm_ends_all_with_0(services: Popen[bytes], processes: ShopProcesses) -> None:
    eventually(lambda: ProcessAlive.objects.filter(kind="mailer").exists(), what="the start")
    children = children_of(services.pid)

    services.terminate()

    assert services.wait(timeout=40) == 0
    assert processes.has_said(services, "Services stopped.")
    assert not any(is_alive(child) for child in children)
