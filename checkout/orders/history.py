"""The history of an order: every event of an order is written here, and changed nowhere. Only the
words that staff typed are emptied, when their customer is erased.

Two statements write an event themselves, since they store everything in one journey to the
database: the one that places a cart (`placing/one_statement.py`), and the one that stores a first
charge (`payments/settling/steps/first_charge.py`).
"""

from datetime import datetime
from typing import Any

from django.db import connection

from checkout.orders.models import Order, OrderEvent


def record_event(
    order_id: int, kind: str, reason: str, *, now: datetime, **more: str
) -> OrderEvent:
    """`more` are the fields that only some kinds of events have."""
    return OrderEvent.objects.create(
        order_id=order_id, kind=kind, reason=reason[:200], created_at=now, **more
    )


def note(order_id: int, reason: str, *, now: datetime) -> OrderEvent:
    """Something that support should know of, and that does not change the status."""
    return record_event(order_id, OrderEvent.Kind.NOTE, reason, now=now)


def note_staff(order_id: int, what: str, *, by: str, why: str, now: datetime) -> OrderEvent:
    return record_event(
        order_id, OrderEvent.Kind.STAFF, what, now=now, actor=by, explanation=why[:1000]
    )


def forget_explanations(order_id: int) -> None:
    """Empty what people typed of the order, who may have named its customer."""
    typed = OrderEvent.objects.filter(order=order_id).exclude(explanation="")
    typed.update(explanation="")


# Each submission is counted; so many of them are events as well. A form that a broken program
# sends three hundred times would otherwise be three hundred rows of the order's history.
EVENTS_OF_RESUBMISSIONS = 10

# One statement, which locks the order's row before it judges, so that submissions at the same time
# add no more events than this. The first of a kind is always an event.
COUNT_RESUBMISSION = """
WITH counted AS (
    UPDATE orders_order SET resubmission_count = resubmission_count + 1 WHERE id = %(order)s
    RETURNING id, resubmission_count
)
INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at)
SELECT id, %(kind)s::varchar, '', '', %(reason)s::varchar, %(now)s::timestamptz FROM counted
WHERE resubmission_count <= %(at_most)s OR NOT EXISTS (
    SELECT FROM orders_orderevent e WHERE e.order_id = counted.id AND e.kind = %(kind)s::varchar
)
"""


def count_resubmission(order: Order, kind: str, reason: str, *, now: datetime) -> None:
    values: dict[str, Any] = {"order": order.pk, "kind": kind, "reason": reason, "now": now}
    with connection.cursor() as cursor:
        cursor.execute(COUNT_RESUBMISSION, values | {"at_most": EVENTS_OF_RESUBMISSIONS})
