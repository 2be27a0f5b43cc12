"""Queue webhooks to other systems, in the transaction of the event that a webhook tells of."""

from datetime import datetime

from django.db import connection

from checkout.orders.models import OrderEvent, WebhookKind
from checkout.orders.states import PAID_FOR, OrderStatus

# The status that an order has reached → the webhook about it. A refund has a webhook of its own:
# a second part of the money moves the status no more than a charge too many does.
ON_ARRIVAL = {
    OrderStatus.PAID: WebhookKind.PAID,
    OrderStatus.PAYMENT_FAILED: WebhookKind.PAYMENT_FAILED,
    OrderStatus.CANCELLED: WebhookKind.CANCELLED,
}

# One statement serves any number of endpoints, and none. The content is kept with the event, for
# endpoints that are added later. The constraint allows one delivery for an event and an endpoint; a
# second is no error. Deliveries to an endpoint that is switched off are written too, and wait.
QUEUE = """
    WITH kept AS (
        UPDATE orders_orderevent v
        SET told = jsonb_build_object(
            'kind', %(kind)s::text, 'status', o.status, 'refunded_minor', o.refunded_minor,
            'amount_minor', %(amount)s::bigint
        )
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
    return None if source is None or source in PAID_FOR else ON_ARRIVAL.get(to)


def queue_webhooks(
    kind: WebhookKind, event: OrderEvent, *, now: datetime, amount_minor: int | None = None
) -> None:
    """Call it when the order is as the event leaves it: that is the content of the webhook."""
    with connection.cursor() as cursor:
        cursor.execute(
            QUEUE,
            {
                "order": event.order_id,
                "event": event.pk,
                "kind": kind,
                "amount": amount_minor,
                "now": now,
            },
        )
