"""A hundred thousand orders as the previous release stored them, by SQL on its own tables."""

import psycopg

ORDERS = 100_000

# Of a hundred orders so many were never paid.
CANCELLED = 2

FILL = [
    f"""
    INSERT INTO orders_order (
        reference, checkout_id, content_digest, resubmission_count, status, total_minor, currency,
        email, full_name, address, city, postcode, country, payment_method, payment_round, placed_at
    )
    SELECT translate(encode(decode(md5('r' || n), 'hex'), 'base64'), '+/=', '-_'),
           md5('c' || n)::uuid, repeat('0', 64), 0,
           CASE WHEN n % 100 < {CANCELLED} THEN 'cancelled' ELSE 'paid' END, 2000, 'EUR',
           'customer' || n || '@example.com', 'A Customer', '12 Inkwell Lane', 'Cork', 'T12 ABC1',
           'IE', 'pm_card_visa', 1, now() - ({ORDERS} - n) * interval '1 minute'
    FROM generate_series(1, {ORDERS}) AS n ORDER BY n
    """,
    """
    INSERT INTO orders_orderline (order_id, product_id, sku, name, quantity, unit_price_minor)
    SELECT o.id, p.id, p.sku, p.name, 1, 1000
    FROM orders_order o CROSS JOIN (SELECT * FROM catalogue_product ORDER BY id LIMIT 2) p
    """,
    """
    INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at)
    SELECT o.id, 'transition', source, target, why, o.placed_at + nth * interval '1 s'
    FROM orders_order o JOIN (VALUES
        ('paid', '', 'placed', 'Order placed', 1),
        ('paid', 'placed', 'paid', 'Payment succeeded', 2),
        ('cancelled', '', 'placed', 'Order placed', 1),
        ('cancelled', 'placed', 'payment_failed', 'Payment not made', 2),
        ('cancelled', 'payment_failed', 'cancelled', 'Not paid in time', 3)
    ) AS step (ends, source, target, why, nth) ON step.ends = o.status
    ORDER BY o.id, nth
    """,
    """
    INSERT INTO orders_outboxmessage (order_id, kind, generation, available_at, published_at)
    SELECT id, 'settle_payment', 1, placed_at, placed_at FROM orders_order
    """,
    """
    INSERT INTO payments_payment (
        order_id, round, status, amount_minor, currency, payment_method, idempotency_key,
        gateway_payment_id, decline_code, tries, created_at, settled_at, charged_minor
    )
    SELECT id, 1, CASE status WHEN 'paid' THEN 'paid' ELSE 'declined' END, total_minor, currency,
           payment_method, md5('k' || id), 'pi_' || md5('g' || id), '', 0, placed_at,
           placed_at + interval '1 s', total_minor
    FROM orders_order
    """,
    """
    INSERT INTO payments_paymentattempt (
        payment_id, step, idempotency_key, started_at, finished_at, outcome, code
    )
    SELECT p.id, step, md5(p.id || step), p.created_at, p.settled_at, p.status, ''
    FROM payments_payment p CROSS JOIN (VALUES ('open'), ('confirm')) AS s (step)
    """,
    """
    INSERT INTO payments_webhookevent (event_id, kind, order_id, received_at)
    SELECT 'evt_' || md5('e' || id), 'payment_intent.succeeded', id, placed_at FROM orders_order
    WHERE status = 'paid'
    """,
]


def fill(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for statement in FILL:
            connection.execute(statement.encode())
        connection.execute("VACUUM (ANALYZE)")
