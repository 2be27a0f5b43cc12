"""The same products for the same customer, from another device or after the cookies are gone.

A one-time token cannot help there, since this is another purchase. So the customer is asked
once and decides: the two are never merged silently, and the second is never refused.
"""

import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db import transaction

from checkout.access import has_opened
from checkout.cart import had_cart
from checkout.orders.history import record_event
from checkout.orders.models import Order, OrderEvent
from checkout.orders.placing.find_order import SIMILAR_WITHIN

SALT = "checkout.twin.v1"

# Whoever types these as they stand in an order knows whose it is and where it goes. An e-mail
# address alone is known to many.
PROOF = ("email", "full_name", "address", "postcode", "city", "country")


def order_to_ask_about(
    similar: Iterable[Order],
    session: SessionBase,
    *,
    typed: Mapping[str, str],
    customer_id: int | None,
) -> Order | None:
    """The newest similar order that was not placed from this session and that this customer knows.

    Whoever knows somebody's e-mail address must not learn from the question what that person
    ordered. So only those are asked who have shown that they know the order: by their account, by a
    link to it that they have opened, or by typing its name and address too.
    """
    for order in similar:
        is_owner = customer_id is not None and order.customer_id == customer_id
        is_known = is_owner or has_opened(session, order) or _is_proved(typed, order)
        if is_known and not had_cart(session, order.checkout_id):
            return order
    return None


def _is_proved(typed: Mapping[str, str], order: Order) -> bool:
    return all(_letters(typed.get(name, "")) == _letters(getattr(order, name)) for name in PROOF)


def _letters(text: str) -> str:
    """What two spellings of one address have in common."""
    return "".join(each for each in text.casefold() if each.isalnum())


def signed_answer(order: Order, checkout_id: uuid.UUID) -> str:
    """What the form sends back as the answer: it proves that the customer was asked."""
    return signing.dumps([checkout_id.hex, order.pk], salt=SALT)


def is_answered(answer: str, order: Order, checkout_id: uuid.UUID) -> bool:
    return _read(answer) == [checkout_id.hex, order.pk]


def order_asked_about(answer: str) -> Order | None:
    match _read(answer):
        case [_, int(pk)]:
            return Order.objects.filter(pk=pk).first()
    return None


def note_order_was_looked_at(order: Order, *, now: datetime) -> None:
    """Write one event an hour at most, however often the button is pressed."""
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)  # a second request waits, and finds it
        kind = OrderEvent.Kind.TWIN_SEEN
        if not order.events.filter(kind=kind, created_at__gt=now - SIMILAR_WITHIN).exists():
            what = "The same was about to be ordered from elsewhere; its customer chose this order"
            record_event(order.pk, kind, what, now=now)


def _read(answer: str) -> list[object] | None:
    try:
        content: list[object] = signing.loads(answer, salt=SALT)
    except signing.BadSignature:
        return None
    return content
