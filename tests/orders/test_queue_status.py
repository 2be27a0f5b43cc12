"""`queue_status` tells where everything stands, also when SQS is away."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.pausing import pause_payments
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from tests.support.factories import placed_order


def told() -> dict[str, Any]:
    out = StringIO()
    call_command("queue_status", "--json", stdout=out)
    answer: dict[str, Any] = json.loads(out.getvalue())
    return answer


def shown() -> str:
    out = StringIO()
    call_command("queue_status", stdout=out)
    return out.getvalue()


def test_queue_dead_letters_and_outbox_are_counted(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    now = timezone.now()
    for _ in range(3):
        placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    queue.receive(at_most=1, wait_seconds=0)
    sqs_client().send_message(
        QueueUrl=queue.dead_letter_queue().url,
        MessageBody="x",
        MessageGroupId="x",
        MessageDeduplicationId="x",
    )
    late, soon = placed_order(shelf[0]), placed_order(shelf[0])
    OutboxMessage.objects.filter(order=late).update(available_at=now - timedelta(hours=3))
    OutboxMessage.objects.filter(order=soon).update(available_at=now + timedelta(hours=1))

    status = told()

    assert status["queue"]["payments"] == {"waiting": 2, "in_hand": 1, "delayed": 0}
    assert status["queue"]["dead_letters"]["waiting"] == 1
    outbox = status["database"]["outbox"]
    assert (outbox["waiting"], outbox["due"]) == (2, 1)
    assert outbox["oldest_due_seconds"] >= 3 * 3600
    assert outbox["next_available_at"] == (now - timedelta(hours=3)).isoformat()
    assert any("3 h 0 min" in hint and "publisher" in hint for hint in status["hints"])
    assert any("dead_letters list" in hint for hint in status["hints"])


def test_orders_are_counted_by_state_with_the_oldest(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    old, paid = placed_order(shelf[0]), placed_order(shelf[0])
    placed_order(shelf[0])
    Order.objects.filter(pk=old.pk).update(placed_at=timezone.now() - timedelta(days=2, hours=1))
    Order.objects.filter(pk=paid.pk).update(status="paid", needs_person="A second charge")

    orders = {row["status"]: row for row in told()["database"]["orders"]}

    assert {status: row["orders"] for status, row in orders.items() if row["orders"]} == {
        "placed": 2,
        "paid": 1,
    }
    assert orders["placed"]["oldest_seconds"] >= 49 * 3600
    assert orders["refunded"]["oldest_seconds"] is None
    text = shown()
    assert "2 d 1 h" in text
    assert "1 orders wait for a person" in text


def test_pause_is_told_and_explains_what_waits(shelf: list[Product], queue: PaymentsQueue) -> None:
    placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() - timedelta(hours=3))
    pause_payments(reason="An outage", by="ada", now=timezone.now())

    status = told()

    assert status["database"]["paused"]["reason"] == "An outage"
    assert [hint for hint in status["hints"] if "publisher running" in hint] == []
    assert "Payments are PAUSED." in shown()


def test_quiet_shop_has_no_hints(db: None, queue: PaymentsQueue) -> None:
    assert told()["hints"] == []
    assert shown().rstrip().endswith("Payments are on.")


def test_published_order_that_waits_long_is_hinted_at(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=timezone.now() - timedelta(minutes=12))

    [hint] = told()["hints"]

    assert "12 min" in hint
    assert "workers" in hint


def test_database_is_shown_although_sqs_is_away(shelf: list[Product], settings: Settings) -> None:
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"
    placed_order(shelf[0])
    out = StringIO()

    with pytest.raises(CommandError, match="SQS does not answer") as raised:
        call_command("queue_status", "--json", stdout=out)

    assert raised.value.returncode == 1
    status = json.loads(out.getvalue())
    assert status["queue"] is None
    assert "SQS does not answer" in status["queue_problem"]
    assert status["database"]["outbox"]["waiting"] == 1


def test_missing_queue_is_named(shelf: list[Product], settings: Settings) -> None:
    settings.PAYMENTS_QUEUE_NAME = "nobody-made-it.fifo"
    out = StringIO()

    with pytest.raises(CommandError, match="ensure_queues"):
        call_command("queue_status", stdout=out)

    assert "placed" in out.getvalue()
