"""A backlog that the planner's statistics know nothing of, as after an outage: each claim still
looks at what it takes, and at no more."""

import json
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import QuerySet
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.mail import send as mailing
from checkout.orders.models import (
    Mail,
    Order,
    OrderEvent,
    OutboxMessage,
    WebhookDelivery,
    WebhookEndpoint,
)
from checkout.orders.outbox import publish
from checkout.orders.webhooks import send as webhook_sending
from checkout.runtime.claiming import kept_claimed
from tests.orders.test_webhooks import paid_order
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.processes import eventually
from tests.tools.bench import orders

MAILS = """
    INSERT INTO orders_mail (order_id, event_id, kind, message_id, available_at, tries)
    SELECT order_id, id, 'received', gen_random_uuid(), now(), 0 FROM orders_orderevent
    WHERE NOT EXISTS (SELECT FROM orders_mail WHERE event_id = orders_orderevent.id)
"""
DELIVERIES = """
    INSERT INTO orders_webhookdelivery (order_id, event_id, endpoint_id, kind, status,
        refunded_minor, webhook_id, wanted_since, available_at)
    SELECT v.order_id, v.id, e.id, 'order.paid', 'paid', 0, gen_random_uuid(), now(), now()
    FROM orders_orderevent v, orders_webhookendpoint e
    WHERE NOT EXISTS (SELECT FROM orders_webhookdelivery WHERE event_id = v.id)
"""


@pytest.fixture(
    params=[
        pytest.param((5_000, 5_000), id="where all was done"),
        pytest.param((0, 20_000), id="in a new shop", marks=long),
    ]
)
def backlog(transactional_db: None, request: pytest.FixtureRequest) -> None:
    """Behind statistics of the tables as they were before."""
    past, waiting = request.param
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")  # tens of thousands of rows at once
        for name in ("first", "second"):
            WebhookEndpoint.objects.create(url=f"https://{name}.example/")
        orders.place(past, published=True)
        for what_waits in (MAILS, DELIVERIES):
            cursor.execute(what_waits)
        Mail.objects.update(sent_at=timezone.now())
        WebhookDelivery.objects.update(sent_at=timezone.now())
        if not past:  # and not even of rows that were deleted
            cursor.execute("TRUNCATE orders_outboxmessage, orders_mail, orders_webhookdelivery")
        for model in (OutboxMessage, Order, OrderEvent, Mail, WebhookDelivery):
            cursor.execute(f"VACUUM (ANALYZE) {model._meta.db_table}")
        orders.place(waiting, published=False)
        for what_waits in (MAILS, DELIVERIES):
            cursor.execute(what_waits)
        cursor.execute("RESET statement_timeout")


def steps_of(explained: Any) -> Iterator[dict[str, Any]]:
    steps = explained if isinstance(explained, list) else json.loads(explained)
    return _steps(steps[0]["Plan"])


def rows_visited(claim: Callable[[], object]) -> int:
    """The most that any step of the claim's plan went through."""
    with CaptureQueriesContext(connection) as captured:
        claim()
    asked = [query["sql"] for query in captured]
    [looks] = [sql for sql in asked if "SKIP LOCKED" in sql]
    with connection.cursor() as cursor:
        for sql in asked[: asked.index(looks)]:  # BEGIN, and what was set for it
            cursor.execute(sql)
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {looks}")
        [(plan,)] = cursor.fetchall()
        cursor.execute("ROLLBACK")
    return max(_rows(step) for step in steps_of(plan))


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", []):
        yield from _steps(inner)


def _rows(step: dict[str, Any]) -> int:
    removed = step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Join Filter", 0)
    return int((step["Actual Rows"] + removed) * step["Actual Loops"])


@pytest.mark.usefixtures("backlog")
def test_claim_looks_at_no_more_than_it_takes() -> None:
    """Each claim is from a table of its own: one backlog, which takes seconds, is that of all."""
    claims: dict[Callable[..., object], int] = {
        publish.claim: publish.CLAIM_AT_MOST,
        mailing.claim: 1,
        webhook_sending.claim: 1,
    }
    for claim, at_most in claims.items():
        visited = rows_visited(lambda: claim(now=timezone.now()))  # noqa: B023 - called at once

        assert visited <= 2 * at_most, claim  # with those that were claimed a moment ago


@pytest.mark.usefixtures("backlog")
def test_idle_publisher_reads_one_row_of_an_index() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {publish.ANYTHING_DUE}")
        [(plan,)] = cursor.fetchall()

    *_, reads = steps_of(plan)
    assert reads["Node Type"].startswith("Index")
    assert _rows(reads) == 1


SHORT = timedelta(seconds=6)


def is_taken_over(claim: Callable[..., object], rows: QuerySet[Any]) -> bool:
    """Whether somebody else gets what is claimed, once it is kept for longer than at first."""
    kept = rows.filter(claimed_until__gt=rows.get().claimed_until)
    eventually(kept.exists, seconds=SHORT.total_seconds(), what="the renewal of the claim")
    return bool(claim(now=timezone.now()))


def test_message_whose_publisher_waits_for_sqs_is_not_taken_over(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "CLAIM", SHORT)
    placed_order(shelf[0])
    seen: list[bool] = []

    class SlowQueue:
        def send(self, messages: list[object]) -> set[int]:
            seen.append(is_taken_over(publish.claim, OutboxMessage.objects.all()))
            return set(range(len(messages)))

    assert publish.publish_outbox(SlowQueue(), now=timezone.now()) == 1  # type: ignore[arg-type] # a queue that only sends

    assert seen == [False]


def test_mail_whose_mailer_waits_for_the_server_is_not_taken_over(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mailing, "CLAIM", SHORT)
    placed_order(shelf[0])
    seen: list[bool] = []

    class SlowServer:
        def send_messages(self, messages: list[object]) -> int:
            seen.append(is_taken_over(mailing.claim, Mail.objects.all()))
            return 1

    assert mailing.send_next(SlowServer(), now=timezone.now())  # type: ignore[arg-type] # a server that only sends

    assert seen == [False]
    assert Mail.objects.get().tries == 1


def test_claim_of_a_process_that_died_is_free_again_in_seconds(shelf: list[Product]) -> None:
    placed_order(shelf[0])
    died_with = [*publish.claim(now=timezone.now()), mailing.claim(now=timezone.now())]
    assert len(died_with) == 2
    soon = timezone.now() + timedelta(seconds=20)

    assert OutboxMessage.objects.filter(claimed_until__lte=soon).exists()
    assert Mail.objects.filter(claimed_until__lte=soon).exists()
    assert timedelta(seconds=20) >= webhook_sending.CLAIM


def test_claim_is_not_renewed_for_what_another_process_has_done(shelf: list[Product]) -> None:
    placed_order(shelf[0])
    [message] = publish.claim(now=timezone.now())
    published = OutboxMessage.objects.filter(pk=message.pk, published_at=None)

    with kept_claimed(published, lasts=timedelta(seconds=0.3)):
        OutboxMessage.objects.update(published_at=timezone.now(), claimed_until=None)
        threading.Event().wait(0.5)

    assert OutboxMessage.objects.get().claimed_until is None


def test_delivery_in_hand_is_renewed(shelf: list[Product]) -> None:
    endpoint = WebhookEndpoint.objects.create(url="https://erp.example/hook")
    paid_order(shelf[0])
    delivery = webhook_sending.claim(now=timezone.now())
    assert delivery
    assert delivery.endpoint == endpoint
    WebhookDelivery.objects.update(claimed_until=timezone.now())

    webhook_sending.renew([delivery])

    later = timezone.now() + timedelta(seconds=10)
    assert WebhookDelivery.objects.filter(pk=delivery.pk, claimed_until__gt=later).exists()
