"""The same goods for the same customer from another device, or after the cookies are gone.

There a one-time token cannot help: it is another purchase. So its customer is asked once, and the
answer is theirs: never merged in silence, never refused.
"""

import uuid
from datetime import datetime, timedelta

from django.contrib.sessions.backends.base import SessionBase
from django.core import signing
from django.db.models import Q

from checkout.cart import had_cart
from checkout.orders.models import Order, OrderEvent
from checkout.orders.states import OrderStatus

SALT = "checkout.twin.v1"

ASKED_WITHIN = timedelta(hours=1)

# On its way, or paid. One that waits for another card does not get in the way of trying afresh.
ASKED_ABOUT = [OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED, OrderStatus.PAID]


def find_twin(
    session: SessionBase,
    *,
    basket_digest: str,
    email: str,
    customer_id: int | None,
    now: datetime,
) -> Order | None:
    """The last such order that was not placed from this session. One statement.

    Two devices that press within the same moment do not see each other's order: this is a courtesy
    on top of the promise, which is about one purchase.
    """
    if not basket_digest:
        return None  # a form from before this was asked
    same_customer = Q(email__iexact=email)
    if customer_id:
        same_customer |= Q(customer_id=customer_id)
    recent = Order.objects.filter(
        same_customer,
        basket_digest=basket_digest,
        status__in=ASKED_ABOUT,
        placed_at__gt=now - ASKED_WITHIN,
    )
    # A handful at most; which of them are this session's own, the session knows.
    others = (twin for twin in recent.order_by("-id") if not had_cart(session, twin.checkout_id))
    return next(others, None)


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
