"""A backlog that the planner's statistics know nothing of, as after an outage: each claim still
looks at what it takes, and at no more."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.orders import mailing, outbox
from checkout.orders.models import Mail, Order, OrderEvent, OutboxMessage
from tests.bench import orders

MAILS = """
    INSERT INTO orders_mail (order_id, event_id, kind, message_id, available_at, tries)
    SELECT order_id, id, 'received', gen_random_uuid(), now(), 0 FROM orders_orderevent
    WHERE NOT EXISTS (SELECT FROM orders_mail WHERE event_id = orders_orderevent.id)
"""


@pytest.fixture(params=[(0, 20_000), (5_000, 5_000)], ids=["in a new shop", "where all was done"])
def backlog(transactional_db: None, request: pytest.FixtureRequest) -> None:
    """Behind statistics of the tables as they were before."""
    past, waiting = request.param
    with connection.cursor() as cursor:
        orders.place(past, published=True)
        cursor.execute(MAILS)
        Mail.objects.update(sent_at=timezone.now())
        if not past:  # and not even of rows that were deleted
            cursor.execute("TRUNCATE orders_outboxmessage, orders_mail")
        for model in (OutboxMessage, Order, OrderEvent, Mail):
            cursor.execute(f"VACUUM (ANALYZE) {model._meta.db_table}")
        orders.place(waiting, published=False)
        cursor.execute(MAILS)


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
    steps = plan if isinstance(plan, list) else json.loads(plan)
    return max(_rows(step) for step in _steps(steps[0]["Plan"]))


def _steps(step: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield step
    for inner in step.get("Plans", []):
        yield from _steps(inner)


def _rows(step: dict[str, Any]) -> int:
    removed = step.get("Rows Removed by Filter", 0) + step.get("Rows Removed by Join Filter", 0)
    return int((step["Actual Rows"] + removed) * step["Actual Loops"])


@pytest.mark.usefixtures("backlog")
@pytest.mark.parametrize(
    ("claim", "at_most"),
    [(outbox.claim, outbox.CLAIM_AT_MOST), (mailing.claim, 1)],
    ids=["messages", "a mail"],
)
def test_claim_looks_at_no_more_than_it_takes(claim: Callable[..., object], at_most: int) -> None:
    visited = rows_visited(lambda: claim(now=timezone.now()))

    assert visited <= 2 * at_most  # with those that were claimed a moment ago
