"""Receive, settle, commit, delete: in this order, and with nothing but our own messages."""

import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
from botocore.exceptions import EndpointConnectionError
from django.db import OperationalError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.messages import VERSION
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import Incoming, Outgoing, PaymentsQueue, sqs_client
from checkout.orders.states import OrderStatus
from config.local.sqs_double.server import QueueServer
from payments.gateways.base import GatewayPayment
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.settling.result import Result
from payments.worker import handle as handling
from payments.worker import worker
from payments.worker.handle import HANDLERS, Verdict, handle
from payments.worker.worker import Worker
from tests.doubles.gateway import FaultyGateway
from tests.support.factories import placed_order
from tests.support.processes import database_url, eventually
from tests.support.till import Till, only

pytestmark = pytest.mark.usefixtures("threads_leave_no_connection", "empty_receives_wait")


def message(body: object, receive_count: int = 1) -> Incoming:
    text = body if isinstance(body, str) else json.dumps(body)
    return Incoming(id="m-1", body=text, receipt_handle="r-1", receive_count=receive_count)


def about(order: Order, receive_count: int = 1) -> Incoming:
    body = {"v": VERSION, "order": order.number, "kind": "settle_payment", "generation": 1}
    return message(body, receive_count)


@contextmanager
def running(worker: Worker) -> Iterator[Callable[[], int]]:
    """The worker in a thread; call what is yielded to stop it, for the number it left undone."""
    stopping = threading.Event()
    left: list[int] = []
    thread = threading.Thread(target=lambda: left.append(worker.run(stopping)))
    thread.start()

    def stop() -> int:
        stopping.set()
        thread.join(timeout=30)
        assert not thread.is_alive()
        return left[0]

    try:
        yield stop
    finally:
        stop()


def test_settled_message_is_deleted(shelf: list[Product], gateway: StripeGateway) -> None:
    order = placed_order(shelf[0])

    assert handle(about(order), only(gateway)) == (Verdict.DELETE, 0)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID


def test_message_whose_payment_is_elsewhere_is_put_back(
    shelf: list[Product], gateway: StripeGateway, till: Till
) -> None:
    order = placed_order(shelf[0])
    inner: list[tuple[Verdict, int]] = []
    faulty = FaultyGateway(gateway)
    faulty.before["confirm"] = lambda: inner.append(handle(about(order), only(gateway)))

    handle(about(order), only(faulty))

    assert inner == [(Verdict.PUT_BACK, 2)]
    assert len(till.charges()) == 1


def test_message_that_met_another_worker_at_its_last_receive_is_no_dead_letter(
    shelf: list[Product], gateway: StripeGateway, till: Till
) -> None:
    """Two deaths may use up its receives, and SQS would put it away although its order is paid."""
    order = placed_order(shelf[0])
    order.outbox_messages.update(published_at=timezone.now())
    inner: list[tuple[Verdict, int]] = []
    last = about(order, receive_count=5)
    faulty = FaultyGateway(gateway)
    faulty.before["confirm"] = lambda: inner.append(handle(last, only(gateway)))

    handle(about(order), only(faulty))

    assert inner == [(Verdict.DELETE, 0)]
    [again] = order.outbox_messages.filter(published_at=None)
    assert again.kind == "settle_payment"
    assert again.available_at > timezone.now()
    till.deliver_messages()
    assert len(till.charges()) == 1


def test_put_back_messages_outlive_any_lease_before_the_dead_letter_queue(
    settings: Settings,
) -> None:
    for lease_seconds in (10, 90, 119.5):
        settings.PAYMENT_LEASE_SECONDS = lease_seconds
        pauses = [handling.busy_seconds(receive_count) for receive_count in range(1, 5)]

        assert pauses == sorted(pauses)
        assert sum(pauses) > lease_seconds  # and the fifth receive, the last, finds it free


@pytest.mark.parametrize(
    "body",
    [
        "not json",
        {"v": 1, "order": "999999-99", "kind": "settle_payment", "generation": 1},
        "x" * 100_000,
    ],
    ids=["not JSON", "unknown order", "absurd size"],
)
def test_poison_settles_nothing_and_is_left_for_the_dead_letter_queue(
    shelf: list[Product],
    gateway: StripeGateway,
    till: Till,
    body: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    placed_order(shelf[0])

    verdict, seconds = handle(message(body), only(gateway))

    assert verdict is Verdict.PUT_BACK
    assert seconds == handling.POISON_SECONDS
    assert till.charges() == []
    [record] = [r for r in caplog.records if r.name == "payments.worker.handle"]
    assert (record.levelname, record.__dict__["message"]) == ("ERROR", record.getMessage())
    assert "dead-letter queue" in record.getMessage()


@pytest.mark.parametrize(
    "body",
    [
        {"v": VERSION + 1},
        {"v": VERSION, "order": "999999-99", "kind": "make_coffee", "generation": 1},
    ],
    ids=["newer version", "unknown kind"],
)
def test_message_of_a_newer_release_is_put_back_for_its_worker(
    gateway: StripeGateway, body: object, caplog: pytest.LogCaptureFixture
) -> None:
    verdict, seconds = handle(message(body), only(gateway))

    assert (verdict, seconds) == (Verdict.PUT_BACK, handling.FUTURE_VERSION_SECONDS)
    assert [r.levelname for r in caplog.records if r.name == "payments.worker.handle"] == [
        "WARNING"
    ]


def test_fault_of_the_database_puts_the_message_back_for_longer_each_time(
    shelf: list[Product], gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **fields: object) -> None:
        raise OperationalError("gone")

    order = placed_order(shelf[0])
    monkeypatch.setitem(handling.HANDLERS, OutboxMessage.Kind.SETTLE_PAYMENT, fail)
    monkeypatch.setattr(handling, "DATABASE_PATIENCE_SECONDS", 0.01)
    monkeypatch.setattr(handling, "AWAY_PATIENCE_SECONDS", 0.01)

    answers = [handle(about(order, receive_count), only(gateway)) for receive_count in range(1, 6)]

    assert {verdict for verdict, _ in answers} == {Verdict.PUT_BACK}
    pauses = [seconds for _, seconds in answers]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 10  # a dropped connection delays nobody for long
    assert sum(pauses[:4]) >= 12 * 60  # until the fifth receive, the last


class NoRoom(psycopg.errors.DiskFull):
    """As the database says it that has no room on its disk."""


def no_room() -> OperationalError:
    error = OperationalError("no room")
    error.__cause__ = NoRoom()
    return error


@pytest.mark.parametrize(
    ("receive_count", "error"),
    [(1, OperationalError("gone")), (4, OperationalError("gone")), (5, no_room())],
    ids=["first", "last but one", "last, of a full disk"],
)
def test_message_is_held_until_the_database_is_back(
    shelf: list[Product],
    gateway: StripeGateway,
    till: Till,
    monkeypatch: pytest.MonkeyPatch,
    receive_count: int,
    error: OperationalError,
) -> None:
    """Put back, it would come again minutes later, hide its order's other messages, and after its
    last receive be a dead letter."""
    honest, failures = HANDLERS[OutboxMessage.Kind.SETTLE_PAYMENT], iter(range(3))

    def fail_at_first(*args: Any, **fields: Any) -> Result:
        if next(failures, None) is not None:
            raise error
        return honest(*args, **fields)

    order = placed_order(shelf[0])
    monkeypatch.setitem(handling.HANDLERS, OutboxMessage.Kind.SETTLE_PAYMENT, fail_at_first)
    monkeypatch.setattr(handling, "DATABASE_PATIENCE_SECONDS", 0.01)

    message = about(order, receive_count=receive_count)
    assert handle(message, only(gateway)) == (Verdict.DELETE, 0)
    assert len(till.charges()) == 1


def test_message_of_a_full_disk_costs_a_receive(
    shelf: list[Product], gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **fields: object) -> None:
        raise no_room()

    order = placed_order(shelf[0])
    monkeypatch.setitem(handling.HANDLERS, OutboxMessage.Kind.SETTLE_PAYMENT, fail)
    monkeypatch.setattr(handling, "DATABASE_PATIENCE_SECONDS", 0.01)

    assert handle(about(order), only(gateway)) == (Verdict.PUT_BACK, 10)


def test_worker_settles_and_empties_the_queue(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway, till: Till
) -> None:
    orders = [placed_order(shelf[0]) for _ in range(5)]
    publish_outbox(queue, now=timezone.now())

    with running(Worker(queue, only(gateway), threads=3, wait_seconds=0)) as stop:
        eventually(lambda: Order.objects.filter(status="paid").count() == 5)
        eventually(lambda: queue.counts().all == 0)
        assert stop() == 0

    assert sorted(charge.order for charge in till.charges()) == sorted(o.number for o in orders)


def test_nothing_is_deleted_before_its_outcome_is_committed(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway
) -> None:
    has_deleted = threading.Event()

    class Watching(PaymentsQueue):
        seen: list[str] = []

        def delete(self, receipt_handles: Sequence[str]) -> int:
            self.seen.extend(Order.objects.values_list("status", flat=True))
            connection.close()
            has_deleted.set()
            return super().delete(receipt_handles)

    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    watching = Watching(sqs_client(), queue.url)
    slow = FaultyGateway(gateway, before={"confirm": lambda: has_deleted.wait(1)})
    with running(Worker(watching, only(slow), threads=1, wait_seconds=0)):
        eventually(lambda: queue.counts().all == 0)

    assert watching.seen == ["paid"]


def test_poison_ends_in_the_dead_letter_queue_and_the_next_message_is_settled(
    shelf: list[Product],
    queue: PaymentsQueue,
    gateway: StripeGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(handling, "POISON_SECONDS", 0)
    queue.send([Outgoing(body="poison", group="poison", deduplication_id=secrets.token_hex(4))])
    order = placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    dead = queue.dead_letter_queue()

    with running(Worker(queue, only(gateway), threads=1, wait_seconds=0)):
        eventually(lambda: Order.objects.filter(pk=order.pk, status="paid").exists())
        eventually(lambda: dead.counts().all == 1)
        eventually(lambda: queue.counts().all == 0)


def test_worker_receives_no_more_than_it_has_free_threads(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway
) -> None:
    for _ in range(6):
        placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    release, in_hand, most = threading.Event(), [0], [0]
    lock = threading.Lock()

    def hold() -> None:
        with lock:
            in_hand[0] += 1
            most[0] = max(most[0], in_hand[0])
        release.wait(10)
        with lock:
            in_hand[0] -= 1

    faulty = FaultyGateway(gateway, before={"open": hold})
    with running(Worker(queue, only(faulty), threads=2, wait_seconds=0)):
        eventually(lambda: in_hand[0] == 2)
        time.sleep(0.3)
        assert queue.counts().in_hand == 2
        release.set()
        eventually(lambda: Order.objects.filter(status="paid").count() == 6)

    assert most == [2]


def publish_two_about_one_order(product: Product, queue: PaymentsQueue) -> None:
    order = placed_order(product)
    publish_outbox(queue, now=timezone.now())
    ask(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, at=timezone.now())
    publish_outbox(queue, now=timezone.now())
    assert queue.counts().all == 2


def test_messages_of_one_order_that_come_together_are_received_once_each(
    shelf: list[Product],
    exact_sqs: QueueServer,
    queue: PaymentsQueue,
    gateway: StripeGateway,
    till: Till,
) -> None:
    publish_two_about_one_order(shelf[0], queue)
    slow = FaultyGateway(gateway, before={"confirm": lambda: time.sleep(0.5)})

    with running(Worker(queue, only(slow), threads=10, wait_seconds=0)) as stop:
        eventually(lambda: queue.counts().all == 0)
        assert stop() == 0

    received = [entry["message"] for entry in exact_sqs.journal if entry["did"] == "received"]
    assert len(received) == len(set(received)) == 2
    assert len(till.charges()) == 1


def test_message_of_an_order_is_handled_also_after_one_that_failed(
    shelf: list[Product],
    queue: PaymentsQueue,
    gateway: StripeGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    publish_two_about_one_order(shelf[0], queue)
    handled = []

    def fails_at_first(one: Incoming, *_: object, **__: object) -> tuple[Verdict, int]:
        handled.append(one.id)
        if len(handled) == 1:
            raise ZeroDivisionError
        return Verdict.DELETE, 0

    monkeypatch.setattr(worker, "handle", fails_at_first)
    with running(Worker(queue, only(gateway), threads=10, wait_seconds=0)) as stop:
        eventually(lambda: len(handled) == 2)
        assert stop() == 0


def test_heartbeat_hides_a_message_for_longer_than_the_visibility_timeout(
    shelf: list[Product],
    settings: Settings,
    gateway: StripeGateway,
    exact_sqs: QueueServer,
    queue: PaymentsQueue,
    till: Till,
) -> None:
    settings.PAYMENT_LEASE_SECONDS = 1  # is renewed four times in this, and the time-out with it
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    def times(did: str) -> int:
        return sum(entry["did"] == did for entry in exact_sqs.journal)

    def longer_than_the_timeout() -> None:
        for _ in range(3):
            exact_sqs.clock.advance(0.75 * settings.MESSAGE_VISIBILITY_SECONDS)
            since = times("hidden")
            eventually(lambda since=since: times("hidden") > since)  # type: ignore[misc] # mypy sees no default

    faulty = FaultyGateway(gateway, before={"confirm": longer_than_the_timeout})

    with running(Worker(queue, only(faulty), threads=2, wait_seconds=0)):
        eventually(lambda: Order.objects.filter(status="paid").exists())
        eventually(lambda: queue.counts().all == 0)

    assert [step for step, _ in faulty.calls] == ["open", "confirm"]
    assert times("received") == 1
    assert len(till.charges()) == 1


def test_lease_is_renewed_while_its_worker_waits_for_the_gateway(
    shelf: list[Product],
    settings: Settings,
    gateway: StripeGateway,
    queue: PaymentsQueue,
    till: Till,
) -> None:
    settings.PAYMENT_LEASE_SECONDS = 8
    order = placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    meanwhile: list[tuple[Verdict, int]] = []

    def until_it_is_renewed() -> None:
        held = Payment.objects.get()
        renewed = Payment.objects.filter(lease_until__gt=held.lease_until)
        eventually(renewed.exists, seconds=settings.PAYMENT_LEASE_SECONDS)
        meanwhile.append(handle(about(order), only(gateway)))

    faulty = FaultyGateway(gateway, before={"confirm": until_it_is_renewed})

    with running(Worker(queue, only(faulty), threads=1, wait_seconds=0)):
        eventually(lambda: Order.objects.filter(status="paid").exists())

    assert meanwhile == [(Verdict.PUT_BACK, handling.BUSY_SECONDS[0])]
    assert len(till.charges()) == 1


@pytest.mark.parametrize("call", ["open", "confirm"])
@pytest.mark.parametrize("moment", ["before", "after"])
def test_broken_connection_costs_no_receive_and_the_lease_goes_on(
    shelf: list[Product],
    settings: Settings,
    gateway: StripeGateway,
    till: Till,
    call: str,
    moment: str,
) -> None:
    settings.PAYMENT_LEASE_SECONDS = 900
    order = placed_order(shelf[0])

    def cut() -> None:
        connection.close()
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            [pid] = cursor.fetchone()
        with psycopg.connect(database_url(), autocommit=True) as another:
            another.execute("SELECT pg_terminate_backend(%s)", [pid])
        getattr(faulty, moment).clear()

    faulty = FaultyGateway(gateway)
    getattr(faulty, moment)[call] = cut

    assert handle(about(order), only(faulty)) == (Verdict.DELETE, 0)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert len(till.charges()) == 1
    assert {key for step, key in faulty.calls if step == call} == {
        getattr(Payment.objects.get(), f"{call}_key")
    }


def test_what_a_worker_that_is_told_to_stop_cannot_store_is_shown_at_once(
    shelf: list[Product], gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object, **fields: object) -> None:
        raise OperationalError("gone")

    monkeypatch.setitem(handling.HANDLERS, OutboxMessage.Kind.SETTLE_PAYMENT, fail)
    stopping = threading.Event()
    stopping.set()

    answer = handle(about(placed_order(shelf[0])), only(gateway), stopping=stopping)

    assert answer == (Verdict.PUT_BACK, 0)


def test_receive_whose_reply_was_lost_is_repeated_as_the_same(
    exact_sqs: QueueServer, queue: PaymentsQueue, shelf: list[Product], gateway: StripeGateway
) -> None:
    class Deaf(PaymentsQueue):
        lost = 0

        def receive(self, **request: Any) -> list[Incoming]:
            messages = super().receive(**request)
            if messages and not self.lost:
                self.lost += 1
                raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
            return messages

    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    deaf = Deaf(sqs_client(), queue.url)

    with running(Worker(deaf, only(gateway), threads=1, wait_seconds=0)):
        eventually(lambda: Order.objects.filter(status="paid").exists())

    received = [entry for entry in exact_sqs.journal if entry["did"] == "received"]
    assert (deaf.lost, len(received)) == (1, 1)


def test_stop_finishes_what_is_in_hand(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway
) -> None:
    order = placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    begun = threading.Event()

    def slow() -> None:
        begun.set()
        time.sleep(1)

    with running(
        Worker(
            queue, only(FaultyGateway(gateway, before={"confirm": slow})), threads=1, wait_seconds=0
        )
    ) as stop:
        eventually(begun.is_set)
        assert stop() == 0

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert queue.counts().all == 0


def test_stop_makes_what_is_unfinished_visible_at_once(
    shelf: list[Product],
    queue: PaymentsQueue,
    gateway: StripeGateway,
    till: Till,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "FINISH_SECONDS", 0.2)
    settings.PAYMENT_LEASE_SECONDS = 0.1  # it renews all the time, which hides what it holds
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    begun, release = threading.Event(), threading.Event()

    def hold() -> None:
        begun.set()
        release.wait(20)

    with running(
        Worker(
            queue, only(FaultyGateway(gateway, before={"confirm": hold})), threads=1, wait_seconds=0
        )
    ) as stop:
        eventually(begun.is_set)
        assert stop() == 1
        assert len(queue.receive(at_most=1, wait_seconds=0)) == 1
        release.set()
        eventually(lambda: Order.objects.filter(status="paid").exists())

    assert len(till.charges()) == 1


def test_failed_delete_is_harmless(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway, till: Till
) -> None:
    class Forgetful(PaymentsQueue):
        failures = 1

        def delete(self, receipt_handles: Sequence[str]) -> int:
            if self.failures:
                self.failures -= 1
                self.change_visibility(receipt_handles, seconds=0)  # as if its time had run out
                return len(receipt_handles)
            return super().delete(receipt_handles)

    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    with running(
        Worker(Forgetful(sqs_client(), queue.url), only(gateway), threads=1, wait_seconds=0)
    ):
        eventually(lambda: queue.counts().all == 0)

    assert len(till.charges()) == 1
    assert Payment.objects.count() == 1


def test_worker_outlives_an_outage_of_sqs(
    shelf: list[Product],
    queue: PaymentsQueue,
    gateway: StripeGateway,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("checkout.runtime.loop.PAUSE_SECONDS", 0.05)

    class Down(PaymentsQueue):
        failures = 3

        def receive(self, **request: Any) -> list[Incoming]:
            if self.failures:
                self.failures -= 1
                raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")
            return super().receive(**request)

    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    with running(Worker(Down(sqs_client(), queue.url), only(gateway), threads=1, wait_seconds=0)):
        eventually(lambda: Order.objects.filter(status="paid").exists())


def test_logs_of_a_settlement_hold_nothing_personal(
    shelf: list[Product], gateway: StripeGateway, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG", logger="payments")
    order = placed_order(shelf[0], payment_method="pm_sandbox_unavailable")

    handle(about(order), only(gateway))

    logged = " ".join(str(record.__dict__) for record in caplog.records)
    assert order.number in logged
    private = [order.email, order.full_name, order.address, order.reference, order.payment_method]
    assert not [value for value in private if value in logged]


def test_answer_is_a_gateway_payment(gateway: StripeGateway, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    handle(about(order), only(gateway))

    answer = gateway.retrieve(Payment.objects.get().gateway_payment_id)

    assert isinstance(answer, GatewayPayment)
    assert answer.order.number == order.number
