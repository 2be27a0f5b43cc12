"""The same goods for the same customer from another device, or after the cookies are gone.

There a one-time token cannot help: it is another purchase. So its customer is asked once, and the
answer is theirs: never merged in silence, never refused.
"""

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db import DEFAULT_DB_ALIAS, connection, transaction

from checkout.access import has_opened
from checkout.cart import had_cart
from checkout.orders.history import record_event
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


# Whoever types these as they stand in an order knows whose it is and where it goes. An address of
# e-mail alone is known to many.
SHOWS_TO_KNOW = ("email", "full_name", "address", "postcode", "city", "country")


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
    typed: Mapping[str, str],
    customer_id: int | None,
    now: datetime,
) -> Known:
    """One statement.

    Whoever knows somebody's address must not be told by a question what that person ordered, so
    it is asked only of those who have shown to know as much: by their account, by a link that they
    have opened, or by typing the order's name and address too.

    Two devices that press within the same moment do not see each other's order: this is a courtesy
    on top of the promise, which is about one purchase.
    """
    asked: dict[str, Any] = {
        "checkout_id": checkout_id,
        "basket_digest": basket_digest,
        "email": typed.get("email", ""),
        "customer_id": customer_id,
        "statuses": ASKED_ABOUT,
        "since": now - ASKED_WITHIN,
    }
    with connection.cursor() as cursor:
        cursor.execute(LOOK_UP, asked)
        names = [column.name for column in cursor.description]
        orders = [_order_of(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]
    # A handful at most; which of them are this session's own, the session knows.
    others = (
        twin
        for twin in orders
        if not had_cart(session, twin.checkout_id)
        and (_is_theirs(twin, session, customer_id) or _shows_to_know(typed, twin))
    )
    own = (order for order in orders if order.checkout_id == checkout_id)
    return Known(order=next(own, None), twin=next(others, None))


def _order_of(row: dict[str, Any]) -> Order:
    """The table's columns are in the order in which they were added, the model's fields are not."""
    fields = [field for field in Order._meta.concrete_fields if field.column in row]
    names, values = (
        [field.attname for field in fields],
        [row[str(field.column)] for field in fields],
    )
    return Order.from_db(DEFAULT_DB_ALIAS, names, values)


def _is_theirs(twin: Order, session: SessionBase, customer_id: int | None) -> bool:
    is_owner = customer_id is not None and twin.customer_id == customer_id
    return is_owner or has_opened(session, twin)


def _shows_to_know(typed: Mapping[str, str], twin: Order) -> bool:
    return all(
        _letters(typed.get(name, "")) == _letters(getattr(twin, name)) for name in SHOWS_TO_KNOW
    )


def _letters(text: str) -> str:
    """What two ways of typing one address have in common."""
    return "".join(each for each in text.casefold() if each.isalnum())


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
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=twin.pk)  # of two at once, one finds none
        _note_once(twin, now=now)


def _note_once(twin: Order, *, now: datetime) -> None:
    seen = twin.events.filter(kind=OrderEvent.Kind.TWIN_SEEN, created_at__gt=now - ASKED_WITHIN)
    if not seen.exists():
        what = "The same was about to be ordered from elsewhere; its customer chose this order"
        record_event(twin.pk, OrderEvent.Kind.TWIN_SEEN, what, now=now)


def _read(answer: str) -> list[object] | None:
    try:
        content: list[object] = signing.loads(answer, salt=SALT)
    except signing.BadSignature:
        return None
    return content
