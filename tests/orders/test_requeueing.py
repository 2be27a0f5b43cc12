"""Orders that wait are published again by hand: once each, and only those that wait."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.operations import requeue
from checkout.orders.operations.requeue import Done, requeue_orders
from tests.support.factories import placed_order
from tests.support.processes import database_url
from tests.support.waiting import until_somebody_waits, wait_long_for_locks


def requeued(*orders: Order | str, dry_run: bool = False) -> list[Done]:
    numbers = [str(order) for order in orders]
    now = timezone.now()
    return [r.done for r in requeue_orders(numbers, by="ada", dry_run=dry_run, now=now)]


def published(order: Order) -> Order:
    order.outbox_messages.update(published_at=timezone.now())
    return order


def test_order_that_waits_gets_the_next_generation_and_a_note(shelf: list[Product]) -> None:
    order = published(placed_order(shelf[0]))
    Order.objects.update(sweep_at=timezone.now())

    assert requeued(order.number.replace("-", " ")) == [Done.QUEUED]

    [message] = OutboxMessage.objects.all()
    assert (message.generation, message.published_at) == (2, None)
    assert order.events.filter(kind="staff", reason="Queued again", actor="ada").count() == 1
    order.refresh_from_db()
    assert order.sweep_at
    assert order.sweep_at > timezone.now() + timedelta(minutes=10)


def test_second_time_finds_the_message_waiting(shelf: list[Product]) -> None:
    order = published(placed_order(shelf[0]))

    assert requeued(order, order) == [Done.QUEUED, Done.WAITING]

    assert OutboxMessage.objects.get().generation == 2


def test_message_that_would_wait_for_an_hour_goes_out_now(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() + timedelta(hours=1))
    assert requeued(order, dry_run=True) == [Done.WOULD_QUEUE]

    assert requeued(order, order) == [Done.HASTENED, Done.WAITING]

    message = OutboxMessage.objects.get()
    assert message.generation == 1  # SQS has never seen it
    assert message.available_at <= timezone.now()
    assert order.events.filter(kind="staff", reason="Queued again", actor="ada").count() == 1


def test_dry_run_tells_and_changes_nothing(shelf: list[Product]) -> None:
    waits, sent = placed_order(shelf[0]), published(placed_order(shelf[0]))

    assert requeued(waits, sent, dry_run=True) == [Done.WAITING, Done.WOULD_QUEUE]

    assert {message.generation for message in OutboxMessage.objects.all()} == {1}
    assert not sent.events.filter(kind="staff").exists()


@pytest.mark.parametrize(
    ("status", "swept", "expired", "kind"),
    [
        ("placed", True, False, "settle_payment"),
        ("action_required", True, False, "settle_payment"),
        ("paid", False, False, None),
        ("paid", True, False, "refund"),
        ("payment_failed", False, False, None),
        ("payment_failed", False, True, "cancel_order"),
        ("cancelled", False, False, None),
        ("refunded", False, False, None),
    ],
)
def test_only_orders_that_the_shop_owes_something_are_queued(
    shelf: list[Product], status: str, swept: bool, expired: bool, kind: str | None
) -> None:
    now = timezone.now()
    order = published(placed_order(shelf[0]))
    Order.objects.update(
        status=status,
        sweep_at=now if swept else None,
        expires_at=now - timedelta(hours=1) if expired else None,
    )

    assert requeued(order) == [Done.QUEUED if kind else Done.NOT_NEEDED]

    waiting = OutboxMessage.objects.filter(published_at=None)
    assert [message.kind for message in waiting] == ([kind] if kind else [])


def test_order_in_another_process_is_named_and_left(shelf: list[Product]) -> None:
    busy, free = published(placed_order(shelf[0])), published(placed_order(shelf[0]))
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM orders_order WHERE id = %s FOR UPDATE", [busy.pk])

        assert requeued(busy, free) == [Done.BUSY, Done.QUEUED]


def test_order_that_another_process_has_for_a_moment_is_waited_for(shelf: list[Product]) -> None:
    order = published(placed_order(shelf[0]))
    wait_long_for_locks()
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM orders_order WHERE id = %s FOR UPDATE", [order.pk])
        freed = pool.submit(let_go_when_waited_for, other)

        assert requeued(order) == [Done.QUEUED]

        freed.result(10)


def let_go_when_waited_for(holder: psycopg.Connection[tuple[object, ...]]) -> None:
    until_somebody_waits()
    holder.rollback()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("requeue_orders", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_command_queues_all_that_wait_in_a_state_for_long_enough(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requeue, "CHUNK", 2)
    old = [published(placed_order(shelf[0])) for _ in range(5)]
    Order.objects.update(placed_at=timezone.now() - timedelta(minutes=30))
    published(placed_order(shelf[0]))

    assert "5 of 5 orders." in run("--state", "PLACED", "--dry-run")
    told = json.loads(run("--state", "PLACED", "--older-than", "20m", "--yes", "--json"))

    assert [row["order"] for row in told["orders"]] == [order.number for order in old]
    assert {row["done"] for row in told["orders"]} == {"queued"}
    assert OutboxMessage.objects.filter(generation=2).count() == 5
    assert run("--state", "placed", "--older-than", "1h", "--yes") == "0 of 0 orders.\n"


def test_command_names_what_it_did_not_do(shelf: list[Product]) -> None:
    order = published(placed_order(shelf[0]))

    with pytest.raises(CommandError, match="1 of 2 orders were not queued") as raised:
        run(order.number, "999999-99", "--yes")

    assert raised.value.returncode == 1
    assert OutboxMessage.objects.get().generation == 2


def test_command_does_nothing_where_nobody_can_answer(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    order = published(placed_order(shelf[0]))

    with pytest.raises(CommandError, match="Nobody to ask") as raised:
        run(order.number)

    assert raised.value.returncode == 2
    assert OutboxMessage.objects.get().generation == 1


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["1-1", "--state", "placed"],
        ["1-1", "--older-than", "1h"],
        ["--state", "paid"],
        ["--state", "placed", "--older-than", "soon"],
        ["--older-than", "1h"],
    ],
    ids=" ".join,
)
def test_command_wants_to_be_told_which(db: None, arguments: list[str]) -> None:
    with pytest.raises(CommandError):
        run(*arguments, "--yes")
