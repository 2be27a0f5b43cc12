"""From the database to the queue: nothing is lost, whoever dies."""

import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from botocore.exceptions import EndpointConnectionError
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.operations.liveness import Alive
from checkout.orders.outbox import publisher
from checkout.orders.outbox.publish import ANYTHING_DUE, claim, publish_outbox
from checkout.orders.outbox.sweep import ask_again, sweep
from checkout.orders.queue.sqs import Outgoing, PaymentsQueue
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.doubles.recording_queue import RecordingQueue, as_queue, sqs_is_down
from tests.support.factories import placed_order


def give_up_claims() -> None:
    OutboxMessage.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))


def test_message_arrives_with_the_orders_names_and_nothing_personal(
    queue: PaymentsQueue, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])

    assert publish_outbox(queue, now=timezone.now()) == 1

    [message] = queue.receive(at_most=10, wait_seconds=0)
    assert json.loads(message.body) == {
        "v": 1,
        "order": order.number,
        "reference": order.reference,
        "installation": installation_id(),
        "kind": "settle_payment",
        "generation": 1,
    }
    assert OutboxMessage.objects.get().published_at is not None


def test_group_is_the_order_and_the_deduplication_id_names_the_generation(
    shelf: list[Product],
) -> None:
    order = placed_order(shelf[0])
    recording = RecordingQueue()

    publish_outbox(as_queue(recording), now=timezone.now())

    [sent] = recording.sent
    message = OutboxMessage.objects.get()
    assert (sent.group, sent.deduplication_id) == (
        order.reference,
        f"{order.reference}-{message.pk}-1",
    )


def test_published_message_is_not_sent_again(shelf: list[Product]) -> None:
    placed_order(shelf[0])
    recording = RecordingQueue()

    publish_outbox(as_queue(recording), now=timezone.now())
    publish_outbox(as_queue(recording), now=timezone.now())

    assert len(recording.sent) == 1


def test_only_what_sqs_took_is_recorded(shelf: list[Product]) -> None:
    orders = [placed_order(shelf[0]) for _ in range(3)]

    published = publish_outbox(as_queue(RecordingQueue(refuse=[1])), now=timezone.now())

    assert published == 2
    unpublished = OutboxMessage.objects.get(published_at__isnull=True)
    assert unpublished.order == orders[1]
    give_up_claims()
    second = RecordingQueue()
    publish_outbox(as_queue(second), now=timezone.now())
    assert [message.group for message in second.sent] == [orders[1].reference]


def test_outage_of_sqs_loses_nothing_and_gives_the_claims_back(shelf: list[Product]) -> None:
    for _ in range(12):
        placed_order(shelf[0])

    with pytest.raises(EndpointConnectionError):
        publish_outbox(as_queue(sqs_is_down()), now=timezone.now())

    soon = timezone.now() + timedelta(seconds=5)
    assert (
        OutboxMessage.objects.filter(published_at__isnull=True, claimed_until__lt=soon).count()
        == 12
    )
    give_up_claims()
    assert publish_outbox(as_queue(RecordingQueue()), now=timezone.now()) == 12


def test_all_that_was_claimed_is_sent_at_once(shelf: list[Product]) -> None:
    for _ in range(25):
        placed_order(shelf[0])
    together = threading.Barrier(3, timeout=20)  # breaks if one batch waits for another

    def send(messages: Sequence[Outgoing]) -> set[int]:
        together.wait()
        return set(range(len(messages)))

    assert publish_outbox(as_queue(SimpleNamespace(send=send)), now=timezone.now()) == 25


def test_batch_that_sqs_did_not_answer_holds_no_other_up(shelf: list[Product]) -> None:
    unlucky = [placed_order(shelf[0]) for _ in range(25)][12].reference
    recording = RecordingQueue()

    def send(messages: Sequence[Outgoing]) -> set[int]:
        if unlucky in {message.group for message in messages}:
            return sqs_is_down().send(messages)
        return recording.send(messages)

    with pytest.raises(EndpointConnectionError):
        publish_outbox(as_queue(SimpleNamespace(send=send)), now=timezone.now())

    published = OutboxMessage.objects.filter(published_at__isnull=False, claimed_until=None)
    assert {message.order.reference for message in published} == {
        message.group for message in recording.sent
    }
    assert published.count() == 15
    give_up_claims()
    assert publish_outbox(as_queue(RecordingQueue()), now=timezone.now()) == 10


def test_publisher_that_died_between_send_and_record_sends_the_same_message(
    shelf: list[Product],
) -> None:
    placed_order(shelf[0])
    [claimed] = claim(now=timezone.now())  # and its process is gone
    recording = RecordingQueue()
    assert publish_outbox(as_queue(recording), now=timezone.now()) == 0  # still claimed

    give_up_claims()
    publish_outbox(as_queue(recording), now=timezone.now())

    assert [message.deduplication_id for message in recording.sent] == [claimed.deduplication_id]


def test_two_publishers_never_hold_the_same_message(shelf: list[Product]) -> None:
    for _ in range(30):
        placed_order(shelf[0])
    barrier = threading.Barrier(4)

    def take(_: int) -> list[int]:
        try:
            barrier.wait()
            return [message.pk for message in claim(now=timezone.now())]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        taken = [pk for pks in pool.map(take, range(4)) for pk in pks]

    assert len(taken) == len(set(taken))
    taken += [message.pk for message in claim(now=timezone.now())]
    assert sorted(taken) == sorted(OutboxMessage.objects.values_list("pk", flat=True))


def test_second_message_of_an_order_waits_for_the_first(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    later = OutboxMessage.objects.create(
        order=order, kind="settle_payment", available_at=timezone.now()
    )

    first_round = claim(now=timezone.now())
    assert [message.pk for message in first_round] != [later.pk]
    assert len(first_round) == 1
    assert claim(now=timezone.now()) == []  # the first is in hand, so the second may not overtake

    OutboxMessage.objects.exclude(pk=later.pk).update(published_at=timezone.now())
    assert [message.pk for message in claim(now=timezone.now())] == [later.pk]


def test_message_for_later_waits_and_holds_nobody_up(shelf: list[Product]) -> None:
    patient, prompt = placed_order(shelf[0]), placed_order(shelf[0])
    OutboxMessage.objects.filter(order=patient).update(
        available_at=timezone.now() + timedelta(hours=1)
    )

    assert [message.order for message in claim(now=timezone.now())] == [prompt]
    in_an_hour = timezone.now() + timedelta(minutes=61)
    assert [message.order for message in claim(now=in_an_hour)] == [patient]


def test_publishing_runs_the_same_statements_for_1_and_10_messages(shelf: list[Product]) -> None:
    def statements(orders: int) -> int:
        for _ in range(orders):
            placed_order(shelf[0])
        with CaptureQueriesContext(connection) as captured:
            assert publish_outbox(as_queue(RecordingQueue()), now=timezone.now()) == orders
        return len(captured)

    assert statements(1) == statements(10)


def test_no_transaction_is_open_while_sqs_is_asked(shelf: list[Product]) -> None:
    placed_order(shelf[0])
    open_transactions = []

    def send(messages: Sequence[Outgoing]) -> set[int]:
        open_transactions.append(connection.in_atomic_block)
        return {0}

    publish_outbox(as_queue(SimpleNamespace(send=send)), now=timezone.now())

    assert open_transactions == [False]


def test_order_whose_message_was_lost_is_published_again(
    shelf: list[Product], settings: Settings
) -> None:
    order = placed_order(shelf[0])
    publish_outbox(as_queue(RecordingQueue()), now=timezone.now())
    due = timezone.now() + timedelta(seconds=settings.SWEEP_AFTER_SECONDS + 1)

    assert sweep(now=timezone.now()) == 0
    assert sweep(now=due) == 1

    recording = RecordingQueue()
    publish_outbox(as_queue(recording), now=due)
    [sent] = recording.sent
    message = OutboxMessage.objects.get()
    assert (
        sent.deduplication_id == f"{message.order.reference}-{message.pk}-2"
    )  # or SQS would drop it as a repetition
    assert order.events.filter(kind=OrderEvent.Kind.SWEPT).count() == 1
    assert sweep(now=due) == 0  # until the next interval has passed


def test_sweep_leaves_what_still_waits_to_be_sent(shelf: list[Product], settings: Settings) -> None:
    order = placed_order(shelf[0])
    due = timezone.now() + timedelta(seconds=settings.SWEEP_AFTER_SECONDS + 1)

    assert sweep(now=due) == 0

    assert OutboxMessage.objects.get().generation == 1
    order.refresh_from_db()
    assert order.sweep_at is not None
    assert order.sweep_at > due


def test_settled_orders_are_never_swept(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    publish_outbox(as_queue(RecordingQueue()), now=timezone.now())
    transition(order.pk, OrderStatus.PAYMENT_FAILED, reason="Declined", now=timezone.now())
    assert Order.objects.get().sweep_at is None

    assert sweep(now=timezone.now() + timedelta(days=400)) == 0


def test_order_without_any_message_is_given_one(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.all().delete()

    assert ask_again(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, reason="Lost", now=timezone.now())

    assert [message.order for message in claim(now=timezone.now())] == [order]


def test_new_generation_asked_for_during_a_send_is_not_recorded_as_sent(
    shelf: list[Product],
) -> None:
    placed_order(shelf[0])

    def send(messages: Sequence[Outgoing]) -> set[int]:
        OutboxMessage.objects.update(generation=2)
        return {0}

    publish_outbox(as_queue(SimpleNamespace(send=send)), now=timezone.now())

    message = OutboxMessage.objects.get()
    assert (message.generation, message.published_at) == (2, None)


class Turns(threading.Event):
    """A publisher's event, which ends it after so many turns; it does something before some."""

    def __init__(self, turns: int, **before: Callable[[], object]) -> None:
        super().__init__()
        self.turn, self.turns, self.before = 0, turns, before

    def wait(self, timeout: float | None = None) -> bool:
        self.turn += 1
        self.before.get(f"turn_{self.turn}", lambda: None)()
        if self.turn == self.turns:
            self.set()
        return self.is_set()


@pytest.fixture
def nothing_beside(monkeypatch: pytest.MonkeyPatch) -> None:
    """It sweeps and measures the shop in no turn, and its liveness is written in none."""
    monkeypatch.setattr(publisher, "Every", lambda seconds: lambda: False)
    monkeypatch.setattr(Alive, "beat", lambda self: None)
    monkeypatch.setattr(publisher, "is_paused", lambda: False)
    monkeypatch.setattr(publisher, "wait_for_message", lambda seconds: False)


@pytest.mark.usefixtures("nothing_beside")
def test_publisher_with_nothing_to_do_asks_one_question_a_turn(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs = RecordingQueue()
    with CaptureQueriesContext(connection) as captured:
        publisher.run(as_queue(sqs), Turns(5))

    assert [query["sql"] for query in captured] == [ANYTHING_DUE] * 5
    assert sqs.sent == []


@pytest.mark.usefixtures("nothing_beside")
def test_what_comes_while_a_publisher_rests_is_sent_together(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    sqs, sent = RecordingQueue(), list[int]()
    monkeypatch.setattr(publisher, "BETWEEN_SENDS_SECONDS", 3600)

    def end_the_rest() -> None:
        sent.append(len(sqs.sent))
        monkeypatch.setattr(publisher, "BETWEEN_SENDS_SECONDS", 0)
        moved = time.monotonic() + 3601
        monkeypatch.setattr(time, "monotonic", lambda: moved)

    def place_another() -> None:
        placed_order(shelf[0])
        sent.append(len(sqs.sent))

    turns = Turns(
        6,
        turn_1=place_another,  # it is sent at once
        turn_2=place_another,
        turn_3=place_another,
        turn_4=end_the_rest,
        turn_5=lambda: sent.append(len(sqs.sent)),
    )
    publisher.run(as_queue(sqs), turns)

    assert sent == [0, 1, 1, 1, 3]


def test_publisher_outlives_an_outage_and_says_it_once(
    shelf: list[Product], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout.runtime.loop.PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("checkout.orders.outbox.publish.REFUSED_PAUSE", timedelta(0))
    placed_order(shelf[0])
    stopping = threading.Event()
    answers = iter([*[sqs_is_down()] * 3, RecordingQueue()])

    def send(messages: Sequence[Outgoing]) -> set[int]:
        answer = next(answers)
        if not answer.error:
            stopping.set()
        return answer.send(messages)

    publisher.run(as_queue(SimpleNamespace(send=send)), stopping)

    assert not OutboxMessage.objects.filter(published_at__isnull=True).exists()
    errors = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["Publishing failed, will go on trying"]
    assert Order.objects.count() == 1
