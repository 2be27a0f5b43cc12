"""Add deliveries for what happened before an endpoint was added, or while none were written for it.

The deliveries are made from the history of the orders, in windows of its rows: a run that is killed
has done a part, and a second run adds what the unique constraint does not find there already.
"""

import json
import time
from datetime import datetime

from django.db import connection
from django.db.models.functions import Now

from checkout.orders.models import OrderEvent, WebhookDelivery, WebhookKind
from checkout.orders.states import PAID_FOR
from checkout.orders.webhooks.enqueue import ON_ARRIVAL
from checkout.runtime.claiming import ANEW
from checkout.runtime.terminal import Progress

# One statement looks at so many rows of the history.
WINDOW = 1000

# No transaction of the shop lasts longer: Postgres ends them (DATABASE_LIMITS).
WAIT_SECONDS = 30.0

# For an event from before the column `told`, and for a placing from before `order.placed`, the
# content is read from the order's history. The status of a transition is its own. That of a refund
# is the one of the last transition up to then, where a refund and the transition after it have one
# time; the amount of a refund is that of the mail about it. Parcels and disputes of then are not
# told of.
MAKE_UP = """
    INSERT INTO orders_webhookdelivery (
        order_id, event_id, endpoint_id, kind, status, refunded_minor, amount_minor, webhook_id,
        wanted_since, available_at
    )
    SELECT
        v.order_id, v.id, e.id, t.kind,
        COALESCE(
            v.told ->> 'status',
            CASE WHEN v.kind = 'transition' THEN v.to_status END,
            (
                SELECT s.to_status FROM orders_orderevent s
                WHERE s.order_id = v.order_id AND s.kind = 'transition'
                    AND (s.id <= v.id OR s.created_at = v.created_at)
                ORDER BY s.id DESC LIMIT 1
            )
        ),
        COALESCE(
            (v.told ->> 'refunded_minor')::bigint,
            (
                SELECT LEAST(o.refunded_minor, COALESCE(sum(r.amount_minor), 0))
                FROM orders_mail r
                WHERE r.order_id = v.order_id AND r.kind = 'refunded' AND r.event_id <= v.id
            )
        ),
        COALESCE((v.told ->> 'amount_minor')::bigint, m.amount_minor),
        gen_random_uuid(), statement_timestamp(), statement_timestamp()
    FROM orders_orderevent v
    JOIN orders_order o ON o.id = v.order_id
    JOIN orders_webhookendpoint e ON e.id = %(endpoint)s AND e.removed_at IS NULL
    LEFT JOIN orders_mail m ON m.event_id = v.id AND m.kind = 'refunded'
    CROSS JOIN LATERAL (
        SELECT COALESCE(
            v.told ->> 'kind',
            CASE
                WHEN v.kind = 'transition' AND v.from_status = '' THEN %(placed)s::text
                WHEN v.kind = 'transition' AND NOT v.from_status = ANY (%(untold)s::text[])
                    THEN %(on_arrival)s::jsonb ->> v.to_status
                WHEN m.id IS NOT NULL THEN %(refunded)s::text
            END
        ) AS kind
    ) t
    WHERE v.id >= %(first)s AND v.id <= %(last)s AND v.created_at >= %(since)s
        AND t.kind = ANY (e.kinds)
    ORDER BY v.id
    ON CONFLICT ON CONSTRAINT orders_webhookdelivery_once_uniq DO NOTHING
"""


class StillUnderWay(Exception):
    """A transaction that began before the endpoint was there has not ended."""


def add_missed(
    endpoint_id: int, *, since: datetime, progress: Progress = lambda count: None
) -> int:
    """Returns how many deliveries are added. One that was given up keeps its webhook-id."""
    _wait_for_older_transactions()
    made_up = 0
    for first, last in _windows(since):
        made_up += _make_up(endpoint_id, first, last, since)
        given_up = WebhookDelivery.objects.filter(
            endpoint=endpoint_id,
            event__gte=first,
            event__lte=last,
            event__created_at__gte=since,
            sent_at=None,
        ).exclude(gave_up_at=None)
        made_up += given_up.update(**ANEW, wanted_since=Now(), available_at=Now())
        progress(made_up)
    return made_up


def _windows(since: datetime) -> list[tuple[int, int]]:
    """The first and last id of each window, the oldest first. Rows before `since` cost nothing."""
    windows: list[tuple[int, int]] = []
    events = OrderEvent.objects.order_by("-pk").values_list("pk", "created_at")
    rows = list(events[:WINDOW])
    # Rows are numbered nearly in the order of their times.
    while rows and max(created_at for _, created_at in rows) >= since:
        first, last = rows[-1][0], rows[0][0]
        windows.append((first, last))
        rows = list(events.filter(pk__lt=first)[:WINDOW])
    return windows[::-1]


def _make_up(endpoint_id: int, first: int, last: int, since: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(
            MAKE_UP,
            {
                "endpoint": endpoint_id,
                "first": first,
                "last": last,
                "since": since,
                "on_arrival": json.dumps(ON_ARRIVAL),
                "untold": sorted(PAID_FOR),  # see `webhook_about`
                "placed": WebhookKind.PLACED.value,
                "refunded": WebhookKind.REFUNDED.value,
            },
        )
        made_up: int = cursor.rowcount
    return made_up


def _wait_for_older_transactions() -> None:
    """Wait for transactions that began before the endpoint was committed: they write no delivery
    for it, and their events are not in the history yet."""
    give_up_at = time.monotonic() + WAIT_SECONDS
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_current_xact_id()::text")
        [newest] = cursor.fetchone()
        while True:
            cursor.execute(
                "SELECT pg_snapshot_xmin(pg_current_snapshot()) > %s::text::xid8", [newest]
            )
            [are_gone] = cursor.fetchone()
            if are_gone or connection.in_atomic_block:
                return
            if time.monotonic() > give_up_at:
                raise StillUnderWay
            time.sleep(0.1)
