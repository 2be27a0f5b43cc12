"""Processes are killed and SQS fails; afterwards every order is paid, by exactly one charge."""

import signal
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from config.local.processes import children_of
from config.local.sqs import LocalSQS
from payments.sandbox.server import SandboxServer
from tests.support.factories import placed_order
from tests.support.long import at_length, long
from tests.support.processes import START_SECONDS, ShopProcesses, eventually
from tests.support.sandbox_faults import make_faults
from tests.support.shopper import OverHttp, Shopper
from tests.support.till import Till, assert_each_paid_once

SIGKILLED = -signal.SIGKILL


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    """What a dead worker held is free again after seconds instead of minutes."""
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2


def in_queue(queue: PaymentsQueue) -> int:
    reply = sqs_client().get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])
    counts = reply["Attributes"]
    return int(counts["ApproximateNumberOfMessages"]) + int(
        counts["ApproximateNumberOfMessagesNotVisible"]
    )


@pytest.mark.parametrize(
    "fault_point",
    [
        "after confirm sent",
        *at_length(
            "before attempt committed",
            "after outcome committed",
            "before message deleted",
        ),
    ],
)
def test_worker_killed_leaves_one_charge_and_the_order_paid(
    processes: ShopProcesses,
    shelf: list[Product],
    queue: PaymentsQueue,
    till: Till,
    fault_point: str,
) -> None:
    order = placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    killed = processes.worker(FAULT_POINT=f"end {fault_point}")
    assert killed.wait(timeout=START_SECONDS) == SIGKILLED
    charged_before = len(till.charges())

    processes.worker()

    assert_each_paid_once(till)
    eventually(lambda: in_queue(queue) == 0, what="deleting the message")
    assert charged_before == (0 if fault_point == "before attempt committed" else 1)
    assert order.events.filter(to_status="paid").count() == 1


def test_publisher_killed_between_send_and_record_leaves_one_charge(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    placed_order(shelf[0])
    killed = processes.publisher(FAULT_POINT="kill after message sent")
    assert killed.wait(timeout=START_SECONDS) == SIGKILLED
    assert OutboxMessage.objects.get().published_at is None
    processes.worker()
    assert_each_paid_once(till)
    eventually(lambda: in_queue(queue) == 0, what="deleting the message")

    OutboxMessage.objects.update(claimed_until=timezone.now())  # its claim lasts 30 s
    processes.publisher()

    eventually(lambda: not OutboxMessage.objects.filter(published_at=None).exists())
    eventually(lambda: in_queue(queue) == 0, what="deleting the second copy")
    assert_each_paid_once(till)


@pytest.fixture
def own_sqs(settings: Settings, tmp_path: Path) -> Iterator[LocalSQS]:
    sqs = LocalSQS(log=tmp_path / "sqs.log")
    settings.AWS_ENDPOINT_URL = sqs.start()
    yield sqs
    sqs.stop()


PRESSES = 10


def press_times(shopper: Shopper, times: int) -> list[float]:
    taken = []
    for _ in range(times):
        shopper.add_to_cart("SKU-01")
        form = shopper.open_checkout()
        began = time.monotonic()
        assert shopper.submit(form).status == 303
        taken.append(time.monotonic() - began)
    return taken


def test_checkout_goes_on_while_sqs_is_stopped_and_everything_settles_after(
    own_sqs: LocalSQS, processes: ShopProcesses, till: Till
) -> None:
    web = processes.web(SWEEP_AFTER_SECONDS="2")
    processes.publisher(SWEEP_AFTER_SECONDS="2", SWEEP_EVERY_SECONDS="0.5")
    processes.worker()
    shopper = Shopper(OverHttp(web.url, timeout_seconds=10))
    press_times(shopper, 3)
    with_sqs = statistics.median(press_times(shopper, PRESSES))
    assert_each_paid_once(till)

    own_sqs.stop()
    without_sqs = statistics.median(press_times(shopper, PRESSES))
    assert Order.objects.filter(status="placed").count() == PRESSES

    own_sqs.start()  # without its queues and whatever was in them
    call_command("ensure_queues", verbosity=0)
    assert_each_paid_once(till)
    print(
        f"\nPlacing an order: {with_sqs * 1000:.1f} ms with SQS, {without_sqs * 1000:.1f} ms with "
        f"SQS stopped, ratio {without_sqs / with_sqs:.2f}"
    )


def test_purged_queue_is_filled_again_by_the_sweep(
    processes: ShopProcesses,
    shelf: list[Product],
    queue: PaymentsQueue,
    settings: Settings,
    till: Till,
) -> None:
    settings.SWEEP_AFTER_SECONDS = 1
    for _ in range(3):
        placed_order(shelf[0])
    assert publish_outbox(queue, now=timezone.now()) == 3
    sqs_client().purge_queue(QueueUrl=queue.url)
    assert in_queue(queue) == 0

    processes.worker()
    processes.publisher(SWEEP_AFTER_SECONDS="1", SWEEP_EVERY_SECONDS="0.2")

    assert_each_paid_once(till)


def test_sigterm_lets_the_worker_finish_and_exits_with_0(
    processes: ShopProcesses,
    shelf: list[Product],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    till: Till,
) -> None:
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    # Long enough for the signal, and far from the shop's time-out.
    make_faults(sandbox, latency_seconds=2)
    worker = processes.worker()
    eventually(lambda: Order.objects.filter(payments__attempts__step="confirm").exists())

    worker.terminate()

    assert worker.wait(timeout=START_SECONDS) == 0
    assert_each_paid_once(till)
    assert in_queue(queue) == 0


@long  # `test_deaths` shows it of the parent and all its processes
def test_second_signal_ends_the_worker_now_and_loses_nothing(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    placed_order(shelf[0], payment_method="pm_sandbox_slow")
    publish_outbox(queue, now=timezone.now())
    worker = processes.worker("--processes", "2")
    eventually(lambda: Order.objects.filter(payments__attempts__step="confirm").exists())
    worker.terminate()
    # Two signals at once would be one.
    eventually(lambda: len(children_of(worker.pid)) == 1, what="the end of the idle child")

    worker.terminate()

    assert worker.wait(timeout=START_SECONDS) == -signal.SIGTERM
    processes.worker()
    processes.publisher()  # the gateway may have to be asked again later
    assert_each_paid_once(till)


def test_sigterm_ends_the_publisher_with_0(processes: ShopProcesses, queue: PaymentsQueue) -> None:
    publisher = processes.publisher()
    eventually(lambda: "Publishing to" in processes.said(), what="the start of the publisher")

    publisher.terminate()

    assert publisher.wait(timeout=10) == 0


def test_whole_flow_over_real_processes(
    processes: ShopProcesses, queue: PaymentsQueue, sandbox: SandboxServer, till: Till
) -> None:
    web = processes.web()
    processes.publisher()
    processes.worker()
    shopper = Shopper(OverHttp(web.url))

    answers = [shopper.buy("SKU-01"), shopper.buy("SKU-02", 3)]

    assert [answer.status for answer in answers] == [303, 303]
    assert_each_paid_once(till)
    assert "You were charged once" in shopper.look(answers[1]).words
    eventually(lambda: in_queue(queue) == 0, what="deleting the messages")
