"""What the shop's database holds for orders."""

from dataclasses import dataclass

import psycopg


@dataclass(frozen=True, kw_only=True)
class MadeOrder:
    number: str
    purchase: str
    amount_minor: int
    currency: str
    status: str
    location: str
    placed_at: float = 0  # in seconds since 1970; 0: not recorded
    paid_at: float | None = None  # when the books said so first, in seconds since 1970
    changed_at: float = 0  # its last change of status
    is_set_aside: bool = False  # or was, so that it is charged when it is sent, if ever
    code: str = ""


def orders_in(database: str, *, since: float = 0) -> list[MadeOrder]:
    """All orders, or those placed since then, in seconds since 1970."""
    query = """SELECT number, email, total_minor, currency, status, reference,
                      (SELECT extract(epoch FROM min(e.created_at)) FROM orders_orderevent e
                       WHERE e.order_id = o.id AND e.to_status = 'paid'),
                      extract(epoch FROM status_changed_at), discount_code,
                      EXISTS (SELECT FROM orders_orderevent e
                              WHERE e.order_id = o.id AND e.to_status = 'authorised'),
                      extract(epoch FROM placed_at)
               FROM orders_order o WHERE placed_at >= to_timestamp(%s) ORDER BY id"""
    with psycopg.connect(database, connect_timeout=5) as connection:
        return [
            MadeOrder(
                number=number,
                purchase=email,
                amount_minor=total,
                currency=currency,
                status=status,
                location=f"/orders/{reference}/",
                paid_at=None if paid_at is None else float(paid_at),
                changed_at=float(changed_at),
                code=code,
                is_set_aside=is_set_aside,
                placed_at=float(placed_at),
            )
            for (
                number,
                email,
                total,
                currency,
                status,
                reference,
                paid_at,
                changed_at,
                code,
                is_set_aside,
                placed_at,
            ) in connection.execute(query, [since])
        ]


def unfinished_in(database: str) -> int:
    """Orders that still move, and what is due to be sent about any. What waits for its
    customer does not move."""
    query = """SELECT count(*) FROM orders_order o WHERE status = 'placed' OR EXISTS
               (SELECT FROM orders_outboxmessage m
                WHERE m.order_id = o.id AND m.published_at IS NULL
                  AND m.available_at <= now())
               OR EXISTS (SELECT FROM orders_mail m WHERE m.order_id = o.id
                AND m.sent_at IS NULL AND m.available_at <= now())
               OR EXISTS (SELECT FROM payments_refund r
                JOIN payments_payment p ON p.id = r.payment_id
                WHERE p.order_id = o.id AND r.status IN ('requested', 'pending')
                  AND NOT r.is_release)
               OR EXISTS (SELECT FROM payments_capture c
                JOIN payments_payment p ON p.id = c.payment_id
                WHERE p.order_id = o.id AND c.status = 'requested')"""
    with psycopg.connect(database, connect_timeout=5) as connection:
        row = connection.execute(query).fetchone()
    return int(row[0]) if row else 0
