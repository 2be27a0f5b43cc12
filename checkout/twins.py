"""The same goods for the same customer from another device, or after the cookies are gone.

There a one-time token cannot help: it is another purchase. So its customer is asked once, and the
answer is theirs: never merged in silence, never refused.
"""

import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db import DEFAULT_DB_ALIAS, connection

from checkout.cart import had_cart
from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import OrderStatus as S

SALT = "checkout.twin.v1"

ASKED_WITHIN = timedelta(hours=1)

# On its way, or paid. One that waits for another card does not get in the way of trying afresh.
ASKED_ABOUT = [status.value for status in (S.PLACED, S.ACTION_REQUIRED, S.PAID)]

# In SQL, for it is run with every press; each half by an index of its own. No digest: a form from
# before this was asked.
LOOK_UP = """
    SELECT * FROM orders_order WHERE checkout_id = %(checkout_id)s
    UNION ALL
    SELECT * FROM orders_order
    WHERE (upper(email) = upper(%(email)s) OR customer_id = %(customer_id)s)
        AND basket_digest = %(basket_digest)s AND basket_digest <> ''
        AND status = ANY(%(statuses)s) AND placed_at > %(since)s
        AND checkout_id <> %(checkout_id)s
    ORDER BY id DESC
"""


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is there already of a purchase that is about to be placed."""

    order: Order | None  # its own: it was placed before
    twin: Order | None  # like it, and not placed from this session


def look_up(
    session: SessionBase,
    *,
    checkout_id: uuid.UUID,
    basket_digest: str,
    email: str,
    customer_id: int | None,
    now: datetime,
) -> Known:
    """One statement.

    Two devices that press within the same moment do not see each other's order: this is a courtesy
    on top of the promise, which is about one purchase.
    """
    asked: dict[str, Any] = {
        "checkout_id": checkout_id,
        "basket_digest": basket_digest,
        "email": email,
        "customer_id": customer_id,
        "statuses": ASKED_ABOUT,
        "since": now - ASKED_WITHIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP, asked)
        names = [column.name for column in cursor.description]
        orders = [Order.from_db(DEFAULT_DB_ALIAS, names, row) for row in cursor.fetchall()]
    # A handful at most; which of them are this session's own, the session knows.
    others = (twin for twin in orders if not had_cart(session, twin.checkout_id))
    own = (order for order in orders if order.checkout_id == checkout_id)
    return Known(order=next(own, None), twin=next(others, None))


def question_about(twin: Order, checkout_id: uuid.UUID) -> str:
    """Goes into the form with the question. Coming back, it says that this was asked."""
    return signing.dumps([checkout_id.hex, twin.pk], salt=SALT)


def is_answered(answer: str, twin: Order, checkout_id: uuid.UUID) -> bool:
    return _read(answer) == [checkout_id.hex, twin.pk]


def twin_asked_about(answer: str) -> Order | None:
    match _read(answer):
        case [_, int(pk)]:
            return Order.objects.filter(pk=pk).first()
    return None


def note_twin_was_looked_at(twin: Order, *, now: datetime) -> None:
    """Once within an hour, however often it is pressed."""
    seen = twin.events.filter(kind=OrderEvent.Kind.TWIN_SEEN, created_at__gt=now - ASKED_WITHIN)
    if not seen.exists():
        OrderEvent.objects.create(
            order=twin,
            kind=OrderEvent.Kind.TWIN_SEEN,
            reason="The same was about to be ordered from elsewhere; its customer chose this order",
            created_at=now,
        )


def _read(answer: str) -> list[object] | None:
    try:
        content: list[object] = signing.loads(answer, salt=SALT)
    except signing.BadSignature:
        return None
    return content
