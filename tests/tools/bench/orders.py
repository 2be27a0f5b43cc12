"""Orders that were placed and wait for a worker, by the thousand. In SQL, as in `history`."""

import time
from collections.abc import Collection

from django.conf import settings
from django.db import connection

# Their outbox messages wait for the publisher, or were published.
ORDERS = """
    WITH placed AS (
        INSERT INTO orders_order (
            reference, checkout_id, content_digest, resubmission_count, status, total_minor,
            currency, email, full_name, address, city, postcode, country, payment_method,
            payment_round, placed_at, status_changed_at, sweep_at
        )
        SELECT
            left(md5('r' || random()), 22), gen_random_uuid(), repeat('0', 64), 0, 'placed', 3000,
            %(currency)s, 'shopper' || n || '@example.com', 'Ada Quillfeather', '12 Inkwell Lane',
            'Cork', 'T12 ABC1', 'IE', 'pm_card_visa', 1, now(), now(), now() + interval '1 h'
        FROM generate_series(1, %(count)s) AS n
        RETURNING id, number
    ), told AS (
        INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at)
        SELECT id, 'transition', '', 'placed', 'Order placed', now() FROM placed
    ), queued AS (
        INSERT INTO orders_outboxmessage (
            order_id, kind, generation, available_at, published_at, traceparent
        )
        SELECT id, 'settle_payment', 1, now(), %(published_at)s,
            '00-' || md5(random()::text) || '-' || left(md5(id::text), 16) || '-01'
        FROM placed
    )
    SELECT number FROM placed ORDER BY id
"""

# While a process under measure works, a look of ours takes time from it.
LOOK_SECONDS = 0.25

WAIT_SECONDS = 600


def place(count: int, *, published: bool) -> list[str]:
    """Their numbers."""
    with connection.cursor() as cursor:
        cursor.execute(
            ORDERS.replace("%(published_at)s", "now()" if published else "NULL"),
            {"count": count, "currency": settings.SHOP_CURRENCY},
        )
        return [number for (number,) in cursor.fetchall()]


def await_none(query: str, *, seconds: float = WAIT_SECONDS) -> None:
    """Until the query finds no row."""
    deadline = time.monotonic() + seconds
    with connection.cursor() as cursor:
        while True:
            cursor.execute(f"SELECT EXISTS ({query})")
            if cursor.fetchone() == (False,):
                return
            if time.monotonic() > deadline:
                raise RuntimeError(f"Not done within {seconds:g} s: {query}")
            time.sleep(LOOK_SECONDS)


def await_settled() -> None:
    await_none("SELECT FROM orders_order WHERE status = 'placed'")


def await_published() -> None:
    await_none("SELECT FROM orders_outboxmessage WHERE published_at IS NULL")


def forget_unsettled() -> int:
    """What was placed and is no business of the next measure; how many orders those were."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE orders_order SET status = 'cancelled' WHERE status = 'placed'")
        forgotten: int = cursor.rowcount
        cursor.execute(
            "UPDATE orders_outboxmessage SET published_at = now() WHERE published_at IS NULL"
        )
    return forgotten


def settled_a_second(numbers: Collection[str]) -> float:
    """While all was under way: from when a tenth was settled until nearly all were."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT extract(epoch FROM settled_at)::float FROM payments_payment p
            JOIN orders_order o ON o.id = p.order_id WHERE o.number = ANY(%s) ORDER BY 1
            """,
            [list(numbers)],
        )
        times: list[float] = [moment for (moment,) in cursor.fetchall()]
    if len(times) != len(numbers):
        raise RuntimeError(f"Of {len(numbers)} orders {len(times)} were settled")
    first, last = len(times) // 10, len(times) * 19 // 20
    return (last - first) / max(times[last] - times[first], 1e-6)
