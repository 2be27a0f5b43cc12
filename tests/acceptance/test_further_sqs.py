"""The spine over SQS servers of other makers, each where it is installed: a purchase from its press
to the deleted message, a worker that dies with it in hand, and a letter that nobody wants. How such
a server differs from Amazon's is declared in `tests/conformance/differences.py`; none of that may
cost an order."""

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from io import StringIO

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.operations import dead_letters
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.setup import MAX_RECEIVE_COUNT, ensure_queues
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from tests.acceptance.test_crashes import in_queue
from tests.doubles.installed_sqs import KNOWN, InstalledSQS, missing
from tests.orders.test_dead_letters import dead_letter_of
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.processes import START_SECONDS, ShopProcesses, eventually
from tests.support.shopper import OverHttp, Shopper, somebody_else
from tests.support.till import Till, assert_each_paid_once

pytestmark = long


@pytest.fixture(
    scope="module",
    params=[
        pytest.param(name, marks=[pytest.mark.skip(reason=reason)] if reason else [])
        for name in KNOWN
        for reason in [missing(name)]
    ],
)
def further_sqs(request: pytest.FixtureRequest) -> Iterator[str]:
    server = InstalledSQS(request.param)
    yield server.start()
    server.stop()


@pytest.fixture(autouse=True)
def _over_it(further_sqs: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """And what a dead worker held is free again after seconds."""
    settings.AWS_ENDPOINT_URL = further_sqs
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)


def test_queues_are_as_the_shop_needs_them(queue: PaymentsQueue) -> None:
    assert [(report.created, report.differences) for report in ensure_queues()] == [
        (False, []),
        (False, []),
    ]


def test_purchases_that_are_pressed_three_times_are_each_paid_once(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    web = processes.web()
    processes.publisher()
    processes.worker("--processes", "2")

    def buy(number: int) -> None:
        shopper = Shopper(OverHttp(web.url), somebody_else())
        shopper.add_to_cart("SKU-01")
        form = shopper.open_checkout()
        assert [shopper.submit(form).status for _ in range(3)] == [303] * 3

    with ThreadPoolExecutor(4) as shoppers:
        list(shoppers.map(buy, range(12)))

    assert_each_paid_once(till)
    assert len(till.charges()) == 12
    eventually(lambda: in_queue(queue) == 0, what="deleting the messages")
    assert in_queue(queue.dead_letter_queue()) == 0


@pytest.mark.parametrize("fault_point", ["after confirm sent", "before message deleted"])
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
    assert killed.wait(timeout=START_SECONDS) == -signal.SIGKILL

    processes.worker()

    assert_each_paid_once(till)
    eventually(lambda: in_queue(queue) == 0, what="deleting the message")
    assert order.events.filter(to_status="paid").count() == 1


def test_message_that_nobody_wants_is_put_away_and_discarded(
    queue: PaymentsQueue, transactional_db: None
) -> None:
    sqs_client().send_message(
        QueueUrl=queue.url, MessageBody="poison", MessageGroupId="p", MessageDeduplicationId="p"
    )
    for _ in range(MAX_RECEIVE_COUNT):
        [message] = queue.receive(at_most=1, wait_seconds=1)
        queue.change_visibility([message.receipt_handle], seconds=0)

    assert queue.receive(at_most=1, wait_seconds=1) == []
    [letter] = dead_letters.list_dead_letters(queue).letters
    call_command("dead_letters", "discard", letter.id, "--reason=Test", "--yes", stdout=StringIO())
    assert in_queue(queue.dead_letter_queue()) == 0


def test_dead_letter_is_redriven_and_its_order_paid_once(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    dead_letter_of(placed_order(shelf[0]), queue)

    call_command("dead_letters", "redrive", "--all", "--reason=Test", "--yes", stdout=StringIO())
    processes.publisher()
    processes.worker()

    assert_each_paid_once(till)
    assert in_queue(queue.dead_letter_queue()) == 0
