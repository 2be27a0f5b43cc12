"""A used token leads to its order, for ever.

A request to place an order begins with this look-up, before anything could refuse it. So whoever
repeats a purchase gets its order, whatever has become of the form, the cart or the limits since.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection

from checkout.orders.models import Order
from checkout.orders.states import OrderStatus as S
from checkout.runtime.database import columns_of, row_of

SIMILAR_WITHIN = timedelta(hours=1)

# On their way or paid. The customer of one that waits for another card may want to start afresh.
SIMILAR_STATUSES = [
    status.value for status in (S.PLACED, S.ACTION_REQUIRED, S.PROMISED, S.AUTHORISED, S.PAID)
]

# One statement, and in SQL, since it is run for every purchase. Each half of the OR has an index.
# An empty digest is that of a form from a release that did not store one.
FIND = """
    SELECT {columns} FROM orders_order WHERE checkout_id = %(checkout_id)s
    UNION ALL
    SELECT {columns} FROM orders_order
    WHERE (upper(email) = upper(%(email)s) OR customer_id = %(customer_id)s)
        AND basket_digest = %(basket_digest)s AND basket_digest <> ''
        AND status = ANY(%(statuses)s) AND placed_at > %(since)s
        AND checkout_id <> %(checkout_id)s
    ORDER BY id DESC
""".format(columns=columns_of(Order, "orders_order"))  # noqa: S608 - the names of our own columns


@dataclass(frozen=True, kw_only=True)
class Found:
    order: Order | None  # the order of the checkout id
    similar: Sequence[Order]  # others for the same customer and products, the newest first


def find_order(checkout_id: UUID) -> Order | None:
    return Order.objects.filter(checkout_id=checkout_id).first()


def find_order_and_similar(
    checkout_id: UUID, *, basket_digest: str, email: str, customer_id: int | None, now: datetime
) -> Found:
    """The order of this checkout id, and orders that this one may repeat by mistake.

    Two requests at the same moment do not see each other's order. That is good enough for similar
    orders; that one checkout id has one order is decided where it is stored.
    """
    parameters: dict[str, Any] = {
        "checkout_id": checkout_id,
        "basket_digest": basket_digest,
        "email": email,
        "customer_id": customer_id,
        "statuses": SIMILAR_STATUSES,
        "since": now - SIMILAR_WITHIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(FIND, parameters)
        similar = [row_of(Order, row) for row in cursor.fetchall()]
    order = next((found for found in similar if found.checkout_id == checkout_id), None)
    if order:
        similar.remove(order)
    return Found(order=order, similar=similar)
