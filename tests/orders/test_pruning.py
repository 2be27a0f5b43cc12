"""Old messages of finished orders go; whatever anybody may still ask for stays."""

import json
import threading
from datetime import datetime, timedelta
from io import StringIO

import psycopg
import pytest
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox import prune
from checkout.orders.outbox.enqueue import publish_again
from checkout.orders.outbox.prune import Pruned, prune_outbox
from checkout.orders.outbox.publish import claim
from checkout.orders.states import OrderStatus
from tests.support.factories import placed_order
from tests.support.processes import database_url
from tests.support.waiting import until_somebody_waits, wait_long_for_locks

LONG_AGO = timedelta(days=40)


def a_month_ago() -> datetime:
    return timezone.now() - timedelta(days=30)


def finished_order(product: Product, status: str = "paid") -> Order:
    """Paid long ago, and its message published long ago."""
    order = placed_order(product)
    Order.objects.filter(pk=order.pk).update(status=status, sweep_at=None)
    order.outbox_messages.update(published_at=timezone.now() - LONG_AGO)
    return order


def left() -> set[int]:
    return set(OutboxMessage.objects.values_list("order", flat=True))


@pytest.mark.parametrize("status", OrderStatus.values)
def test_only_final_orders_are_pruned(shelf: list[Product], status: str) -> None:
    order = finished_order(shelf[0])
    is_unsettled = status in ("placed", "action_required", "promised", "authorised")
    Order.objects.update(status=status, sweep_at=timezone.now() if is_unsettled else None)

    pruned = prune_outbox(before=a_month_ago())

    final = status in ("paid", "partly_refunded", "refunded", "cancelled")
    assert pruned == Pruned(looked_at=1, deleted=1 if final else 0)
    assert left() == (set() if final else {order.pk})


def test_what_is_young_unpublished_or_looked_after_stays(shelf: list[Product]) -> None:
    now = timezone.now()
    young, waiting, swept, expiring, person, gone = (finished_order(shelf[0]) for _ in range(6))
    young.outbox_messages.update(published_at=now - timedelta(days=29))
    waiting.outbox_messages.update(published_at=None)
    Order.objects.filter(pk=swept.pk).update(sweep_at=now)
    Order.objects.filter(pk=expiring.pk).update(expires_at=now)
    Order.objects.filter(pk=person.pk).update(needs_person="A second charge")

    assert prune_outbox(before=a_month_ago()).deleted == 1

    assert left() == {young.pk, waiting.pk, swept.pk, expiring.pk, person.pk}
    assert gone.events.exists()


def test_batches_do_what_one_would_and_a_second_run_finds_nothing(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 3)
    orders = [finished_order(shelf[0]) for _ in range(8)]
    orders[4].outbox_messages.update(published_at=None)
    told: list[int] = []

    dry = prune_outbox(before=a_month_ago(), dry_run=True)
    assert left() == {order.pk for order in orders}
    assert (
        prune_outbox(before=a_month_ago(), progress=told.append)
        == dry
        == Pruned(looked_at=8, deleted=7)
    )

    assert told == [3, 5, 7]
    assert left() == {orders[4].pk}
    assert prune_outbox(before=a_month_ago()) == Pruned(looked_at=1, deleted=0)


def test_run_that_was_ended_halfway_is_finished_by_the_next(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "BATCH", 2)
    for _ in range(5):
        finished_order(shelf[0])

    def end(deleted: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prune_outbox(before=a_month_ago(), progress=end)
    assert OutboxMessage.objects.count() == 3

    assert prune_outbox(before=a_month_ago()).deleted == 3


def test_new_message_of_a_pruned_order_has_an_id_that_sqs_has_not_seen(
    shelf: list[Product],
) -> None:
    order = finished_order(shelf[0])
    before = OutboxMessage.objects.get().deduplication_id
    prune_outbox(before=a_month_ago())

    assert publish_again(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, now=timezone.now())
    assert publish_again(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, now=timezone.now())

    [first] = claim(now=timezone.now())
    assert first.deduplication_id != before
    ids = {message.deduplication_id for message in OutboxMessage.objects.all()}
    assert len(ids | {before}) == 3


def test_order_that_somebody_has_in_hand_is_left_for_the_next_run(shelf: list[Product]) -> None:
    busy, _ = finished_order(shelf[0]), finished_order(shelf[0])
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM orders_order WHERE id = %s FOR UPDATE", [busy.pk])

        assert prune_outbox(before=a_month_ago()).deleted == 1

    assert left() == {busy.pk}


def test_message_that_is_deleted_while_it_is_published_again_is_written_anew(
    shelf: list[Product],
) -> None:
    order = finished_order(shelf[0])
    answers: list[bool] = []

    def again() -> None:
        wait_long_for_locks()
        try:
            answers.append(publish_again(order.pk, "settle_payment", now=timezone.now()))
        finally:
            connection.close()

    with psycopg.connect(database_url()) as other:
        other.execute("DELETE FROM orders_outboxmessage")
        thread = threading.Thread(target=again)
        thread.start()
        until_somebody_waits("the wait for the deleting transaction")
    thread.join()

    assert answers == [True]
    [message] = OutboxMessage.objects.all()
    assert (message.order, message.published_at) == (order, None)


def test_command_counts_and_deletes(shelf: list[Product]) -> None:
    finished_order(shelf[0])
    finished_order(shelf[0]).outbox_messages.update(published_at=timezone.now())

    def run(*arguments: str) -> str:
        out = StringIO()
        call_command("prune_outbox", *arguments, stdout=out)
        return out.getvalue()

    assert run("--dry-run") == "1 of 2 messages would be deleted.\n"
    told = json.loads(run("--json", "--dry-run"))
    assert (told["would_delete"], told["deleted"]) == (1, 0)
    assert run("--older-than", "41d") == "0 of 2 messages were deleted.\n"
    assert run() == "1 of 2 messages were deleted.\n"
    assert json.loads(run("--json"))["looked_at"] == 1
