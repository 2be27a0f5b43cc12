"""Operators pause payments while people buy, and let them go on: real processes throughout."""

import time

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.queue.setup import dead_letter_queue_name
from checkout.orders.queue.sqs import PaymentsQueue
from payments.models import PaymentAttempt
from tests.acceptance.test_crashes import in_queue
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper, somebody_else
from tests.support.till import Till, all_paid, assert_each_paid_once


def manage(processes: ShopProcesses, *arguments: str) -> None:
    assert processes.manage(*arguments).wait(timeout=60) == 0


def test_twenty_orders_placed_during_a_pause_are_each_paid_once_after_it(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    web = processes.web()
    for _ in range(2):
        processes.worker()
    processes.publisher(SWEEP_AFTER_SECONDS="1", SWEEP_EVERY_SECONDS="0.2")
    placed_order(shelf[0])
    eventually(all_paid, seconds=60, what="paying the first order")
    eventually(lambda: in_queue(queue) == 0, what="deleting its message")

    manage(processes, "pause_payments", "--reason", "A test")
    time.sleep(1.5)  # each process knows of it
    answers = [Shopper(OverHttp(web.url), somebody_else()).buy("SKU-02") for _ in range(20)]
    time.sleep(3)  # several sweeps, and everything that could have been received

    assert [answer.status for answer in answers] == [303] * 20
    assert len(till.charges()) == 1
    assert PaymentAttempt.objects.exclude(payment__order__status="paid").count() == 0
    assert Order.objects.filter(status="placed").count() == 20
    assert in_queue(queue) == 0
    manage(processes, "resume_payments", "--yes")
    assert_each_paid_once(till)
    assert len(till.charges()) == 21
    eventually(lambda: in_queue(queue) == 0, what="deleting the messages")
    client, dead = queue.dead_letter_queue(), dead_letter_queue_name()
    assert client.url.endswith(dead)
    assert in_queue(client) == 0
