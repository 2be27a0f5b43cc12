"""A shop's past: paid orders with everything that is written down about them, by the hundred
thousand. In SQL, for going through the shop would take a day."""

import sys
import time
from collections.abc import Callable

from django.db import connection

# Of a shop that sells as much every day, whatever its past. The newest was placed just now.
ORDERS_A_DAY = 10_000

CHUNK = 50_000

# Of a hundred orders so many were never paid.
CANCELLED = 2

# The newest so many are still to be sent, as in a shop that packs all day.
TO_SEND = 200

TABLES = [
    *("orders_order", "orders_orderline", "orders_orderevent", "orders_outboxmessage"),
    *("orders_mail", "payments_payment", "payments_paymentattempt"),
    *("orders_shipment", "orders_shipmentline"),
    "catalogue_stockmovement",
]

# n counts the orders of the whole history from 1, so the parts of one order meet by arithmetic.
ORDERS = """
    INSERT INTO orders_order (
        reference, checkout_id, content_digest, resubmission_count, status, total_minor, currency,
        email, full_name, address, city, postcode, country, payment_method, payment_round,
        placed_at, status_changed_at, dispatch_status, delivery_name
    )
    SELECT
        translate(encode(decode(md5('r' || n), 'hex'), 'base64'), '+/=', '-_'),
        md5('c' || n)::uuid, repeat('0', 64), n %% 7 / 6,
        CASE WHEN n %% 100 < {cancelled} THEN 'cancelled' ELSE 'paid' END,
        2000 + n %% 250 * 2, 'EUR', 'customer' || n %% 200000 || '@example.com', 'A Customer',
        '12 Inkwell Lane', 'Cork', 'T12 ABC1', 'IE', 'pm_card_visa', 1,
        moment, moment + interval '1 s',
        CASE WHEN n %% 100 < {cancelled} OR n > %(last)s::bigint - {to_send}
            THEN 'unsent' ELSE 'sent' END,
        CASE n %% 3 WHEN 0 THEN 'Letter' ELSE 'Parcel' END
    FROM (
        SELECT n, now() - (%(last)s::bigint - n) * interval '1 day' / {a_day} AS moment
        FROM generate_series(%(first)s::bigint, %(until)s::bigint) AS n
    ) AS numbered
    ORDER BY n
"""

PARTS = [
    """
    INSERT INTO orders_orderline (
        order_id, product_id, sku, name, quantity, unit_price_minor, shipped
    )
    SELECT o.id, p.id, p.sku, p.name, 1, o.total_minor / 2, (o.dispatch_status = 'sent')::int
    FROM new_orders AS o CROSS JOIN (SELECT * FROM catalogue_product ORDER BY id LIMIT 2) AS p
    """,
    """
    INSERT INTO catalogue_stockmovement (product_id, change, kind, order_id, created_at)
    SELECT l.product_id, sign * l.quantity, what, o.id, o.placed_at
    FROM new_orders AS o
    JOIN orders_orderline AS l ON l.order_id = o.id
    JOIN (VALUES ('placed', -1), ('released', 1)) AS step (what, sign)
        ON what = 'placed' OR o.status = 'cancelled'
    ORDER BY o.id, l.id, sign
    """,
    # What was sold had come in: the stock is as it was before all this.
    """
    INSERT INTO catalogue_stockmovement (product_id, change, kind)
    SELECT l.product_id, sum(l.quantity), 'received'
    FROM new_orders AS o JOIN orders_orderline AS l ON l.order_id = o.id
    WHERE o.status <> 'cancelled' GROUP BY l.product_id
    """,
    """
    INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at)
    SELECT o.id, 'transition', source, target, why, o.placed_at + nth * interval '1 s'
    FROM new_orders AS o JOIN (
        VALUES
            ('paid', '', 'placed', 'Order placed', 1),
            ('paid', 'placed', 'paid', 'Payment succeeded', 2),
            ('cancelled', '', 'placed', 'Order placed', 1),
            ('cancelled', 'placed', 'payment_failed', 'Payment not made', 2),
            ('cancelled', 'payment_failed', 'cancelled', 'Not paid in time', 3)
    ) AS step (ends, source, target, why, nth) ON step.ends = o.status
    ORDER BY o.id, nth
    """,
    """
    INSERT INTO orders_orderevent (
        order_id, kind, from_status, to_status, reason, actor, created_at
    )
    SELECT id, 'staff', '', '', 'Parcel sent', 'clerk', placed_at + interval '1 h'
    FROM new_orders WHERE dispatch_status = 'sent' ORDER BY id
    """,
    """
    INSERT INTO orders_shipment (
        order_id, key, method, tracking_number, tracking_link, event_id, sent_by, sent_at
    )
    SELECT order_id, 'parcel-' || id, 'Parcel', 'T' || id, '', id, 'clerk', created_at
    FROM orders_orderevent
    WHERE kind = 'staff' AND order_id IN (SELECT id FROM new_orders) ORDER BY id
    """,
    """
    INSERT INTO orders_shipmentline (shipment_id, line_id, quantity)
    SELECT s.id, l.id, l.quantity
    FROM orders_shipment AS s JOIN orders_orderline AS l ON l.order_id = s.order_id
    WHERE s.order_id IN (SELECT id FROM new_orders)
    """,
    """
    INSERT INTO orders_outboxmessage (order_id, kind, generation, available_at, published_at)
    SELECT id, 'settle_payment', 1, placed_at, placed_at FROM new_orders
    """,
    """
    INSERT INTO orders_mail (
        order_id, event_id, kind, message_id, available_at, tries, sent_at
    )
    SELECT order_id, id, kinds.mail, gen_random_uuid(), created_at, 1, created_at
    FROM orders_orderevent AS event JOIN (
        VALUES ('placed', 'received'), ('paid', 'paid'), ('payment_failed', 'payment_failed')
    ) AS kinds (status, mail) ON event.to_status = kinds.status
    WHERE order_id IN (SELECT id FROM new_orders)
    """,
    """
    INSERT INTO payments_payment (
        order_id, round, status, amount_minor, currency, payment_method, idempotency_key,
        gateway_payment_id, decline_code, tries, created_at, settled_at, charged_minor
    )
    SELECT id, 1, CASE status WHEN 'paid' THEN 'paid' ELSE 'declined' END, total_minor, currency,
        payment_method, md5('k' || id), 'pi_' || md5('g' || id), '', 0, placed_at,
        placed_at + interval '1 s', total_minor
    FROM new_orders
    """,
    """
    INSERT INTO payments_paymentattempt (
        payment_id, step, idempotency_key, started_at, finished_at, outcome, code
    )
    SELECT p.id, step, md5(p.id || step), p.created_at, p.settled_at, p.status, ''
    FROM payments_payment AS p CROSS JOIN (VALUES ('open'), ('confirm')) AS s (step)
    WHERE p.order_id IN (SELECT id FROM new_orders)
    """,
]


def load(orders: int, *, progress: Callable[[int], None] = lambda done: None) -> None:
    """Add so many orders, the newest of them placed now."""
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for first in range(1, orders + 1, CHUNK):
            until = min(first + CHUNK - 1, orders)
            cursor.execute("SELECT coalesce(max(id), 0) FROM orders_order")
            (before,) = cursor.fetchone()
            add = ORDERS.format(cancelled=CANCELLED, a_day=ORDERS_A_DAY, to_send=TO_SEND)
            cursor.execute(add, {"first": first, "until": until, "last": orders})
            cursor.execute(
                "CREATE TEMPORARY TABLE new_orders AS SELECT * FROM orders_order WHERE id > %s",
                [before],
            )
            cursor.execute("ANALYZE new_orders")
            for part in PARTS:
                cursor.execute(part)
            cursor.execute("DROP TABLE new_orders")
            progress(until)
        for table in TABLES:  # as autovacuum leaves a table that is not written to any more
            cursor.execute(f"VACUUM (ANALYZE) {table}")
        cursor.execute("RESET statement_timeout")


def shown(orders: int) -> Callable[[int], None]:
    """Progress on a terminal, and none in a pipe."""
    if not sys.stderr.isatty():
        return lambda done: None
    began = time.monotonic()

    def show(done: int) -> None:
        seconds = time.monotonic() - began
        print(f"\r{done:,} of {orders:,} orders, {seconds:.0f} s ", end="", file=sys.stderr)
        if done == orders:
            print(file=sys.stderr)

    return show
