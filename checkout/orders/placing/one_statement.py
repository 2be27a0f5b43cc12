"""Placing in one statement what `place` stores row by row, for any number of lines.

The statement stores everything or nothing, and does not say why it stored nothing: the basket may
be used up or changed, a price may differ, a product may be sold out. `place` then goes row by row,
which does the same in Django's words, and finds out. A test holds the two against each other.

One statement sees one moment, which is before it waits for anybody's lock. So each row that decides
is locked before it is believed, and Postgres reads it anew when it had to wait for it
(PostgreSQL docs, "Read Committed Isolation Level"):

- The basket. Whoever changes its lines changes its row first. So if that row is as it was seen,
  the lines are too; if it is not, there is no row, no line and no order.
- The products, locked in SKU order as everywhere, so that two orders cannot wait for each other.
  Price, stock and all else that the quote was made from are compared as they are after the wait.

For the sake of speed this statement alone writes an event, a mail, webhooks and an outbox message
beside the modules that otherwise write them (`history`, `mail.enqueue`, `webhooks.enqueue` and
`outbox.enqueue`).

What is left to constraints: one order of a checkout id, and no stock below zero.
"""

from dataclasses import asdict
from functools import cache
from typing import Any

from django.db import connection
from psycopg.types.json import Jsonb

from checkout.catalogue.models import StockMovement
from checkout.orders.mail.enqueue import mail_about
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.placing.purchase import StoredBasket
from checkout.orders.states import OrderStatus
from checkout.orders.webhooks.enqueue import told_of_placing, webhook_about
from checkout.quotes.quote import Quote, QuotedLine
from checkout.runtime.database import insertion, values_of
from checkout.runtime.trace import traceparent

# The database sets these.
GIVEN = frozenset({"id", "number"})


PLACE = """
WITH basket AS MATERIALIZED ({lines}),
quoted AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset(%(quoted)s::jsonb) AS q(
        product_id bigint, quantity int, unit_price_minor bigint, weight_grams int,
        is_delivered boolean, tax_class text,
        discount_minor bigint, tax_percent numeric, tax_minor bigint
    )
),
bought AS MATERIALIZED (
    SELECT p.id, p.sku, p.name, p.price_minor, p.stock, p.is_on_sale, p.weight_grams,
        p.is_delivered, p.tax_class, position, quantity
    FROM catalogue_product p JOIN basket ON product_id = p.id
    ORDER BY p.sku
    FOR UPDATE OF p
),
as_seen AS (
    SELECT FROM bought b JOIN quoted q ON q.product_id = b.id
    HAVING count(*) = (SELECT count(*) FROM basket)
        AND count(*) = (SELECT count(*) FROM quoted)
        AND bool_and(b.is_on_sale AND b.stock >= b.quantity AND b.quantity = q.quantity
            AND b.price_minor = q.unit_price_minor AND b.weight_grams = q.weight_grams
            AND b.is_delivered = q.is_delivered AND b.tax_class = q.tax_class)
),
new_order AS (
    INSERT INTO orders_order ({columns}) SELECT {values} FROM as_seen
    RETURNING id, number
),
used_up AS ({use_up}),
reserved AS (
    UPDATE catalogue_product p SET stock = p.stock - quantity
    FROM bought, new_order WHERE p.id = bought.id
),
movement AS (
    INSERT INTO catalogue_stockmovement (product_id, change, kind, order_id)
    SELECT bought.id, -quantity, %(movement)s, new_order.id FROM new_order, bought ORDER BY sku
),
lines AS (
    INSERT INTO orders_orderline (order_id, product_id, sku, name, quantity, unit_price_minor,
        discount_minor, tax_percent, tax_minor, is_delivered)
    SELECT new_order.id, b.id, sku, name, b.quantity, price_minor,
        discount_minor, tax_percent, tax_minor, b.is_delivered
    FROM new_order, bought b JOIN quoted q ON q.product_id = b.id
    ORDER BY position
),
event AS (
    INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at, told)
    SELECT id, %(event)s, '', %(status)s, 'Order placed', %(placed_at)s, %(told)s FROM new_order
    RETURNING id, order_id
),
webhooks AS (
    INSERT INTO orders_webhookdelivery (order_id, event_id, endpoint_id, kind, status,
        refunded_minor, webhook_id, wanted_since, available_at)
    SELECT order_id, event.id, e.id, %(webhook)s::varchar, %(status)s,
        0, gen_random_uuid(), %(placed_at)s, %(placed_at)s
    FROM event, orders_webhookendpoint e
    WHERE e.removed_at IS NULL AND %(webhook)s::varchar = ANY (e.kinds)
),
mail AS (
    INSERT INTO orders_mail (order_id, event_id, kind, message_id, available_at, tries)
    SELECT order_id, id, %(mail)s, gen_random_uuid(), %(placed_at)s, 0 FROM event
),
message AS (
    INSERT INTO orders_outboxmessage (order_id, kind, generation, available_at, traceparent)
    SELECT id, %(message)s, 1, %(placed_at)s, %(traceparent)s FROM new_order
)
SELECT id, number FROM new_order
"""


def place_stored_basket(order: Order, basket: StoredBasket, quote: Quote) -> bool:
    """Store the order with all that belongs to it. False: nothing was stored."""
    params: dict[str, Any] = {
        **basket.values,
        **values_of(order, GIVEN),
        "quoted": Jsonb([_quoted_line(each) for each in quote.lines]),
        "event": OrderEvent.Kind.TRANSITION.value,
        "movement": StockMovement.Kind.PLACED.value,
        "mail": mail_about(None, OrderStatus.PLACED),
        "webhook": webhook_about(None, OrderStatus.PLACED),
        "told": Jsonb(told_of_placing(order)),
        "message": OutboxMessage.Kind.SETTLE_PAYMENT.value,
        "traceparent": traceparent(),
    }
    with connection.cursor() as cursor:
        cursor.execute(_statement(basket.lines, basket.use_up), params)
        stored = cursor.fetchone()
    if stored is None:
        return False
    order.pk, order.number = stored
    return True


def _quoted_line(quoted: QuotedLine) -> dict[str, object]:
    return asdict(quoted.line) | {
        "discount_minor": quoted.discount_minor,
        "tax_percent": str(quoted.tax_percent),
        "tax_minor": quoted.tax_minor,
    }


@cache
def _statement(lines: str, use_up: str) -> str:
    columns, values = insertion(Order, GIVEN)
    return PLACE.format(lines=lines, use_up=use_up, columns=columns, values=values)
