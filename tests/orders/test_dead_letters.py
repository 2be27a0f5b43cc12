"""Dead letters are listed without loss, redriven by the outbox once, or discarded."""

import json
import secrets
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from io import StringIO

import pytest
from botocore.exceptions import EndpointConnectionError
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.operations import dead_letters
from checkout.orders.operations.dead_letters import (
    DeadLetter,
    Done,
    discard,
    list_dead_letters,
    redrive,
)
from checkout.orders.outbox.messages import encode
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import QUEUE_ERRORS, PaymentsQueue, sqs_client
from config.local.sqs_double.hostile import CHANCES
from config.local.sqs_double.server import QueueServer
from tests.support.factories import placed_order
from tests.support.long import at_length


@pytest.fixture(autouse=True, params=["double", *at_length("moto")])
def _each_queue_server(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "double":
        request.getfixturevalue("exact_sqs")
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)


def put_away(queue: PaymentsQueue, body: str, group: str = "") -> None:
    sqs_client().send_message(
        QueueUrl=queue.dead_letter_queue().url,
        MessageBody=body,
        MessageGroupId=group or secrets.token_hex(4),
        MessageDeduplicationId=secrets.token_hex(8),
    )


def dead_letter_of(order: Order, queue: PaymentsQueue) -> OutboxMessage:
    """Its message was published, received too often, and given up."""
    message = order.outbox_messages.order_by("id").latest("id")
    OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
    put_away(queue, encode(message), order.number)
    return message


def read(queue: PaymentsQueue) -> list[DeadLetter]:
    return list_dead_letters(queue).letters


def driven(queue: PaymentsQueue, *ids: str) -> list[Done]:
    outcomes = redrive(queue, ids or None, by="ada", reason="Fixed", now=timezone.now())
    return [outcome.done for outcome in outcomes]


def notes(order: Order) -> list[str]:
    staff = order.events.filter(kind="staff", actor="ada")
    return list(staff.values_list("reason", flat=True))


def test_message_that_really_died_is_listed_with_what_is_known(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    put_before_a_person(order.pk, "Nobody knows", now=timezone.now())
    publish_outbox(queue, now=timezone.now())
    for _ in range(6):
        for message in queue.receive(at_most=1, wait_seconds=0):
            queue.change_visibility([message.receipt_handle], seconds=0)

    [letter] = read(queue)

    assert (letter.order, letter.kind, letter.generation) == (order.number, "settle_payment", 1)
    assert (letter.order_status, letter.why, letter.problem) == ("placed", "Nobody knows", "")
    assert letter.receive_count >= 1
    assert letter.first_sent_at == OutboxMessage.objects.get().created_at
    assert driven(queue, letter.id) == [Done.QUEUED]


def test_reading_pages_through_all_and_shows_each_again(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    for n in range(33):
        put_away(queue, f"poison {n}")

    for _ in range(2):
        found = list_dead_letters(queue)
        assert sorted(letter.body for letter in found.letters) == sorted(
            f"poison {n}" for n in range(33)
        )
        assert found.unread == 0


def test_what_hides_behind_ten_of_its_own_group_is_counted_and_reached_in_the_end(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    for _ in range(14):
        dead_letter_of(order, queue)

    found = list_dead_letters(queue)
    assert len(found.letters) + found.unread == 14

    done = driven(queue)
    assert done == [Done.QUEUED, *[Done.WAITING] * 13]
    assert read(queue) == []


def test_redrive_writes_the_next_generation_and_then_deletes_the_letter(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order, other = placed_order(shelf[0]), placed_order(shelf[0])
    message = dead_letter_of(order, queue)
    dead_letter_of(other, queue)
    [letter] = [letter for letter in read(queue) if letter.order == order.number]

    assert driven(queue, letter.id) == [Done.QUEUED]

    [again] = order.outbox_messages.all()
    assert (again.pk, again.generation, again.published_at) == (message.pk, 2, None)
    assert [left.order for left in read(queue)] == [other.number]
    [note] = notes(order)
    assert note == f"Dead letter {letter.id}: queued again"
    publish_outbox(queue, now=timezone.now())
    [sent] = queue.receive(at_most=10, wait_seconds=0)
    assert json.loads(sent.body)["generation"] == 2


def test_redriving_twice_writes_one_message(shelf: list[Product], queue: PaymentsQueue) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    [letter] = read(queue)
    assert driven(queue, letter.message_id) == [Done.QUEUED]

    assert driven(queue, letter.id) == [Done.NOT_FOUND]
    assert driven(queue) == []

    assert OutboxMessage.objects.get().generation == 2


class _Ended(BaseException):
    """As a process is, between two lines."""


@pytest.mark.parametrize("published_meanwhile", [True, False])
def test_redrive_that_was_killed_before_the_delete_is_finished_by_the_next(
    shelf: list[Product],
    queue: PaymentsQueue,
    monkeypatch: pytest.MonkeyPatch,
    published_meanwhile: bool,
) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)

    def killed(self: PaymentsQueue, receipt_handles: Sequence[str]) -> int:
        raise _Ended

    with monkeypatch.context() as patch:
        patch.setattr(PaymentsQueue, "delete", killed)
        with pytest.raises(_Ended):
            driven(queue)
    assert OutboxMessage.objects.get().generation == 2
    if published_meanwhile:
        OutboxMessage.objects.update(published_at=timezone.now())

    assert driven(queue) == [Done.ALREADY]

    assert OutboxMessage.objects.get().generation == 2
    assert len(notes(order)) == 1
    assert read(queue) == []


def test_letter_that_sqs_does_not_delete_is_said_and_finished_by_the_next(
    shelf: list[Product], queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letter_of(placed_order(shelf[0]), queue)

    with monkeypatch.context() as patch:
        patch.setattr(PaymentsQueue, "delete", lambda self, handles: len(handles))
        [outcome] = redrive(queue, None, by="ada", now=timezone.now())

    assert (outcome.done, outcome.is_good) == (Done.KEPT, False)
    assert driven(queue) == [Done.ALREADY]


def test_order_that_is_final_gets_no_message(shelf: list[Product], queue: PaymentsQueue) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    Order.objects.filter(pk=order.pk).update(status="paid", sweep_at=None)

    assert driven(queue) == [Done.NOTHING_LEFT]

    assert OutboxMessage.objects.get().generation == 1
    assert read(queue) == []


def test_order_whose_message_waits_gets_no_second(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    later = OutboxMessage.objects.create(
        order=order, kind="settle_payment", available_at=timezone.now() + timedelta(hours=1)
    )

    assert driven(queue) == [Done.WAITING]

    assert list(OutboxMessage.objects.filter(published_at=None)) == [later]


def test_redriven_order_is_not_swept_at_the_same_time(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    Order.objects.update(sweep_at=timezone.now())

    driven(queue)

    assert Order.objects.get().sweep_at > timezone.now() + timedelta(minutes=10)  # type: ignore[operator] # it is set


POISON = {
    "not JSON": "<xml/>",
    "no order has this number": json.dumps(
        {"v": 1, "order": "999999-99", "kind": "settle_payment", "generation": 1}
    ),
    "of a newer release": json.dumps({"v": 99}),
    "no version": json.dumps({"order": "\u0000"}),
}


@pytest.mark.parametrize("problem", POISON)
def test_poison_is_only_discarded(shelf: list[Product], queue: PaymentsQueue, problem: str) -> None:
    put_away(queue, POISON[problem])
    [letter] = read(queue)
    assert problem in letter.problem

    [outcome] = redrive(queue, None, by="ada", now=timezone.now())

    assert (outcome.done, outcome.is_good) == (Done.IMPOSSIBLE, False)
    assert problem in outcome.problem
    assert len(read(queue)) == 1
    gone = discard(queue, letter.id, by="ada", reason="A stranger's", now=timezone.now())
    assert gone.done is Done.DISCARDED
    assert read(queue) == []


def test_kind_of_another_release_is_not_redriven(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    put_away(
        queue,
        json.dumps({"v": 1, "order": order.number, "kind": "make_coffee", "generation": 1}),
    )

    assert driven(queue) == [Done.IMPOSSIBLE]


def test_poison_does_not_keep_good_letters_from_being_redriven(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    for n in range(12):
        put_away(queue, f"poison {n}")
    orders = [placed_order(shelf[0]) for _ in range(12)]
    for order in orders:
        dead_letter_of(order, queue)

    done = driven(queue)

    assert (done.count(Done.QUEUED), done.count(Done.IMPOSSIBLE)) == (12, 12)
    assert len(read(queue)) == 12


def test_discarding_is_noted_with_the_order(shelf: list[Product], queue: PaymentsQueue) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    [letter] = read(queue)

    discard(queue, letter.id, by="ada", reason="Paid in cash", now=timezone.now())

    assert notes(order) == [f"Dead letter {letter.id}: discarded"]
    assert OutboxMessage.objects.get().generation == 1
    assert read(queue) == []


def test_reading_ends_although_sqs_shows_the_same_for_ever(
    shelf: list[Product], queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its clock is wrong, or reading takes longer than letters are hidden."""
    monkeypatch.setattr(dead_letters, "HIDE_SECONDS", 0)
    for n in range(15):
        put_away(queue, f"poison {n}")

    bodies = [letter.body for letter in read(queue)]

    assert len(bodies) == len(set(bodies)) > 0


# The command


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("dead_letters", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_command_lists_shows_and_redrives(shelf: list[Product], queue: PaymentsQueue) -> None:
    order = placed_order(shelf[0])
    dead_letter_of(order, queue)
    put_away(queue, "\x9b31mred")

    assert order.number in run("list")
    told = json.loads(run("list", "--json"))
    [good] = [letter for letter in told["letters"] if letter["order"]]
    [bad] = [letter for letter in told["letters"] if not letter["order"]]
    assert "\x9b" not in run("show", bad["id"])
    assert json.loads(run("show", good["message_id"], "--json"))["id"] == good["id"]
    redriven = json.loads(run("redrive", good["id"], "--yes", "--json"))
    assert redriven["failed"] == 0
    assert [row["done"] for row in redriven["letters"]] == ["queued"]
    with pytest.raises(CommandError, match="1 of 1"):
        run("redrive", "--all", "--yes")
    assert "discarded" in run("discard", bad["id"], "--reason", "A stranger's", "--yes")
    assert run("list") == "0 dead letters.\n"


@pytest.mark.parametrize(
    "arguments", [["redrive", "--all"], ["discard", "abc", "--reason", "No"]], ids=lambda a: a[0]
)
def test_command_does_nothing_where_nobody_can_answer(
    shelf: list[Product],
    queue: PaymentsQueue,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    dead_letter_of(placed_order(shelf[0]), queue)

    with pytest.raises(CommandError, match="Nobody to ask") as raised:
        run(*arguments)

    assert raised.value.returncode == 2
    assert OutboxMessage.objects.get().generation == 1


@pytest.mark.parametrize(
    "arguments", [["redrive"], ["redrive", "abc", "--all"], ["discard", "abc"]]
)
def test_command_wants_to_be_told_which_and_why(db: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments, "--yes")


def test_letter_that_is_not_there_is_said(shelf: list[Product], queue: PaymentsQueue) -> None:
    for arguments in (["show", "abc"], ["redrive", "abc", "--yes"]):
        with pytest.raises(CommandError):
            run(*arguments)


def test_sqs_that_is_away_is_said_in_one_line(db: None, settings: Settings) -> None:
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="SQS does not answer"):
        run("list")


def test_sqs_that_goes_away_halfway_leaves_nothing_undone(
    shelf: list[Product], queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letter_of(placed_order(shelf[0]), queue)

    def away(self: PaymentsQueue, handles: object, **more: object) -> int:
        raise EndpointConnectionError(endpoint_url="http://127.0.0.1:9")

    with monkeypatch.context() as patch:
        patch.setattr(PaymentsQueue, "delete", away)
        with pytest.raises(CommandError, match="SQS does not answer"):
            run("redrive", "--all", "--yes")

    assert driven(queue) == [Done.ALREADY]


def test_hostile_queue_gets_every_letter_redriven_once(
    shelf: list[Product], queue: PaymentsQueue, request: pytest.FixtureRequest
) -> None:
    if request.node.callspec.params["_each_queue_server"] != "double":
        pytest.skip("only the double has faults on demand")
    server: QueueServer = request.getfixturevalue("exact_sqs")
    orders = [placed_order(shelf[0]) for _ in range(25)]
    for order in orders:
        dead_letter_of(order, queue)
    server.hostility.chances, server.hostility.is_on = CHANCES, True

    for _ in range(40):
        with suppress(*QUEUE_ERRORS):
            driven(queue)
        server.clock.advance(dead_letters.HIDE_SECONDS)
        if not OutboxMessage.objects.filter(generation=1).exists():
            break

    assert sum(server.hostility.hits.values()) > 0
    assert {message.generation for message in OutboxMessage.objects.all()} == {2}
    assert [len(notes(order)) for order in orders] == [1] * 25
