"""Processes die with work in hand, and others go on with it at once.

Leases and visibility time-outs are so long here that nothing in these tests could wait for them:
what was in hand comes back because somebody gave it back.
"""

import os
import signal
from subprocess import Popen

import pytest
import requests
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from config.local.processes import children_of
from config.local.sqs_double.server import QueueServer
from payments.models import Payment
from payments.sandbox.server import SandboxServer
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually, is_alive
from tests.support.sandbox_faults import make_faults
from tests.support.till import Till, assert_each_paid_once

pytestmark = pytest.mark.usefixtures("exact_sqs")

FOREVER = 900


@pytest.fixture(autouse=True)
def _long_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = FOREVER
    settings.PAYMENT_LEASE_SECONDS = FOREVER - 1


def hang(sandbox: SandboxServer, *calls: str) -> None:
    """The next calls of these kinds are carried out and never answered."""
    make_faults(sandbox, next=",".join(f"{call}:silent" for call in calls))


def faulty_calls(sandbox: SandboxServer) -> int:
    hits: dict[str, int] = requests.get(f"{sandbox.url}/sandbox/faults", timeout=10).json()["hits"]
    return sum(hits.values())


def await_call(sandbox: SandboxServer, *, after_calls: int = 0) -> None:
    eventually(lambda: faulty_calls(sandbox) > after_calls, what="a call to the gateway")


def pid_in_hand(sandbox: SandboxServer, *, after_calls: int = 0) -> int:
    """The process that has the one payment, and waits for the gateway."""
    await_call(sandbox, after_calls=after_calls)
    return int(Payment.objects.get().lease_owner.rpartition(":")[2])


@pytest.fixture
def worker(processes: ShopProcesses) -> Popen[bytes]:
    worker = processes.worker("--processes", "2")
    eventually(lambda: len(children_of(worker.pid)) == 2, what="the start of two children")
    return worker


def test_order_in_hand_of_a_killed_child_is_paid_without_waiting_for_any_time_out(
    worker: Popen[bytes],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    shelf: list[Product],
    till: Till,
) -> None:
    hang(sandbox, "open")
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    child = pid_in_hand(sandbox)
    assert child in children_of(worker.pid)

    os.kill(child, signal.SIGKILL)

    eventually(lambda: Order.objects.get().status == "paid", what="paying")
    assert_each_paid_once(till)
    assert Payment.objects.get().lease_owner == ""
    assert not is_alive(child)
    eventually(lambda: len(children_of(worker.pid)) == 2, what="replacing the child")


def test_message_whose_processes_died_often_does_not_become_a_dead_letter(
    worker: Popen[bytes],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    exact_sqs: QueueServer,
    shelf: list[Product],
    processes: ShopProcesses,
    till: Till,
) -> None:
    processes.publisher()
    deaths = 7  # two more than SQS receives before it gives a message up
    hang(sandbox, *["*"] * deaths)
    placed_order(shelf[0])
    for calls in range(deaths):
        os.kill(pid_in_hand(sandbox, after_calls=calls), signal.SIGKILL)

    eventually(lambda: Order.objects.get().status == "paid", what="paying")
    assert_each_paid_once(till)
    assert [entry for entry in exact_sqs.journal if entry["did"] == "moved"] == []


def test_message_handed_to_a_receive_whose_process_is_gone_comes_back(
    processes: ShopProcesses,
    queue: PaymentsQueue,
    exact_sqs: QueueServer,
    shelf: list[Product],
    till: Till,
) -> None:
    """SQS hands the next message to the open receive of a process that was killed meanwhile."""
    worker = processes.worker("--processes", "1", "--wait-seconds", "10")
    [child] = wait_for_receives(exact_sqs, worker, 1)
    os.kill(child, signal.SIGSTOP)  # it has asked, and will not hear the answer
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    eventually(lambda: was_received(exact_sqs), what="handing the message out")

    os.kill(child, signal.SIGKILL)

    eventually(lambda: Order.objects.get().status == "paid", what="paying")
    assert_each_paid_once(till)


def wait_for_receives(sqs: QueueServer, worker: Popen[bytes], count: int) -> list[int]:
    eventually(lambda: sqs.requests["ReceiveMessage"] >= count, what="asking for messages")
    return children_of(worker.pid)


def was_received(sqs: QueueServer) -> bool:
    return any(entry["did"] == "received" for entry in sqs.journal)


def test_children_end_when_their_parent_was_killed(worker: Popen[bytes]) -> None:
    children = children_of(worker.pid)

    worker.kill()
    worker.wait()

    eventually(lambda: not any(is_alive(child) for child in children), what="ending")


def test_sigterm_lets_children_finish_and_ends_the_parent_with_0(
    worker: Popen[bytes],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    shelf: list[Product],
    till: Till,
) -> None:
    make_faults(sandbox, next="open:late")
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    await_call(sandbox)
    children = children_of(worker.pid)

    worker.terminate()

    assert worker.wait(timeout=70) == 0
    assert not any(is_alive(child) for child in children)
    assert Order.objects.get().status == "paid"
    assert_each_paid_once(till)


def test_second_sigterm_ends_everything_at_once(
    worker: Popen[bytes],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    shelf: list[Product],
    processes: ShopProcesses,
) -> None:
    hang(sandbox, "open")
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    child = pid_in_hand(sandbox)

    worker.terminate()
    eventually(lambda: len(children_of(worker.pid)) == 1, what="ending of the idle child")
    worker.terminate()

    assert worker.wait(timeout=30) == -signal.SIGTERM
    eventually(lambda: not is_alive(child), what="ending of the busy child")
