"""The command that redrives dead letters is killed around the delete: one message, one charge."""

import signal

import pytest

from checkout.catalogue.models import Product
from checkout.orders.models import OutboxMessage
from checkout.orders.queue.sqs import PaymentsQueue
from config.local.sqs_double.server import QueueServer
from tests.acceptance.test_crashes import in_queue
from tests.orders.test_dead_letters import dead_letter_of
from tests.support.factories import placed_order
from tests.support.long import all_or
from tests.support.processes import ShopProcesses
from tests.support.till import Till, assert_each_paid_once

pytestmark = pytest.mark.usefixtures("exact_sqs")


@pytest.mark.parametrize("place", all_or(["after"], ["before", "after"]))
def test_redrive_killed_around_the_delete_is_finished_by_the_next(
    exact_sqs: QueueServer,
    shelf: list[Product],
    queue: PaymentsQueue,
    processes: ShopProcesses,
    till: Till,
    place: str,
) -> None:
    orders = [placed_order(shelf[0]) for _ in range(3)]
    for order in orders:
        dead_letter_of(order, queue)
    redrive = ["dead_letters", "redrive", "--all", "--yes"]

    killed = processes.manage(*redrive, FAULT_POINT=f"kill {place} dead letter deleted")
    assert killed.wait(timeout=60) == -signal.SIGKILL
    assert OutboxMessage.objects.filter(generation=2).count() == 1
    exact_sqs.clock.advance(61)  # what the killed one had in hand is shown again
    assert processes.manage(*redrive).wait(timeout=60) == 0

    assert [message.generation for message in OutboxMessage.objects.all()] == [2, 2, 2]
    assert in_queue(queue.dead_letter_queue()) == 0
    for order in orders:
        assert order.events.filter(kind="staff").count() == 1
    processes.publisher()
    processes.worker()
    assert_each_paid_once(till)
