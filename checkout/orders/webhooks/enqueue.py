"""Queue webhooks to other systems, in the transaction of the event that a webhook tells of."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from psycopg.types.json import Jsonb

from checkout.orders.models import Order, OrderEvent, Shipment, WebhookKind
from checkout.orders.states import PAID_FOR, OrderStatus

# The status that an order has reached → the webhook about it. A refund has a webhook of its own:
# a second part of the money moves the status no more than a charge too many does.
ON_ARRIVAL = {
    OrderStatus.AUTHORISED: WebhookKind.AUTHORISED,
    OrderStatus.PAID: WebhookKind.PAID,
    OrderStatus.PAYMENT_FAILED: WebhookKind.PAYMENT_FAILED,
    OrderStatus.CANCELLED: WebhookKind.CANCELLED,
}

# One statement serves any number of endpoints, and none. The content is kept with the event, for
# endpoints that are added later. The constraint allows one delivery for an event and an endpoint; a
# second is no error. Deliveries to an endpoint that is switched off are written too, and wait. The
# statement that places a cart (`placing/one_statement.py`) does the same within itself, and so does
# the one that stores a first charge (`payments/settling/steps/first_charge.py`).
QUEUE = """
    WITH kept AS (
        UPDATE orders_orderevent v
        SET told = jsonb_build_object(
            'kind', %(kind)s::text, 'status', o.status, 'refunded_minor', o.refunded_minor,
            'amount_minor', %(amount)s::bigint, 'dispatch_status', o.dispatch_status
        ) || %(more)s::jsonb
        FROM orders_order o
        WHERE v.id = %(event)s AND v.told IS NULL AND o.id = %(order)s
    )
    INSERT INTO orders_webhookdelivery (
        order_id, event_id, endpoint_id, kind, status, refunded_minor, amount_minor, webhook_id,
        wanted_since, available_at
    )
    SELECT
        o.id, %(event)s, e.id, %(kind)s::varchar, o.status, o.refunded_minor, %(amount)s::bigint,
        gen_random_uuid(), %(now)s::timestamptz, %(now)s::timestamptz
    FROM orders_webhookendpoint e, orders_order o
    WHERE e.removed_at IS NULL AND %(kind)s::varchar = ANY (e.kinds) AND o.id = %(order)s
    ON CONFLICT ON CONSTRAINT orders_webhookdelivery_once_uniq DO NOTHING
"""


def webhook_about(source: OrderStatus | None, to: OrderStatus) -> WebhookKind | None:
    if source is None:
        return WebhookKind.PLACED
    return None if source in PAID_FOR else ON_ARRIVAL.get(to)


def told_of_placing(order: Order) -> dict[str, object]:
    """What the statement above keeps with the event of an order that has just been placed."""
    return {
        "kind": WebhookKind.PLACED.value,
        "status": OrderStatus.PLACED.value,
        "refunded_minor": 0,
        "amount_minor": None,
        "dispatch_status": order.dispatch_status,
    }


def queue_webhooks(
    kind: WebhookKind,
    event: OrderEvent,
    *,
    now: datetime,
    amount_minor: int | None = None,
    more: Mapping[str, object] | None = None,
) -> None:
    """Call it when the order is as the event leaves it: that is the content of the webhook. `more`
    is kept with the event alone, which every delivery is made from; see `content.body_of`."""
    params: dict[str, Any] = {
        "order": event.order_id,
        "event": event.pk,
        "kind": kind,
        "amount": amount_minor,
        "more": Jsonb(more or {}),
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(QUEUE, params)


def queue_webhook_about_parcel(
    kind: WebhookKind, shipment: Shipment, event: OrderEvent, *, now: datetime
) -> None:
    """What the parcel holds never changes, so its id alone is kept with the event."""
    queue_webhooks(kind, event, now=now, more={"shipment": shipment.pk})
