"""Who may see an order: the session that placed it, its owner's account, whoever opened the link
in its e-mail, and staff who may look at orders. To all others it does not exist.

A cart's id is the checkout id of its order, so the session knows the order's id before there is an
order, and placing writes nothing into the session. So nobody loses access to their order when the
process dies between COMMIT and its response, or when another request stores the session later.

A session that opened a link keeps the link's version with the order: when staff stop the links from
before, they stop these sessions too.
"""

from django.contrib.sessions.backends.base import SessionBase
from django.http import Http404, HttpRequest

from checkout.cart import had_cart
from checkout.orders.links import Opener
from checkout.orders.models import Order

OPENED_KEY = "opened_orders"

# Sessions are read with every request, so they are kept small.
OPENED_AT_MOST = 50


class OrderHidden(Http404):
    """There is no such order, or it is not the visitor's; which of the two is not said."""


def own_order(request: HttpRequest, reference: str) -> Order:
    """The order, for its customer only. Raises `OrderHidden`."""
    order = Order.objects.filter(reference=reference).first()
    if order is None or not is_own(request, order):
        raise OrderHidden
    return order


def visible_order(request: HttpRequest, reference: str) -> Order:
    """The order, for its customer or for staff to look at. Raises `OrderHidden`."""
    order = Order.objects.filter(reference=reference).first()
    if order is None or not may_see(request, order):
        raise OrderHidden
    return order


def may_see(request: HttpRequest, order: Order) -> bool:
    return is_own(request, order) or _is_staff(request)


def is_own(request: HttpRequest, order: Order) -> bool:
    return _knows(request.session, order) or _is_owner(request, order)


def give_access(session: SessionBase, order: Order) -> None:
    """Let this session see the order, once the visitor has proved that it is theirs."""
    if not _knows(session, order):
        opened = session.get(OPENED_KEY, [])
        others = [each for each in opened if Opener.read(each).reference != order.reference]
        session[OPENED_KEY] = [*others, str(Opener.of(order))][-OPENED_AT_MOST:]


def has_opened(session: SessionBase, order: Order) -> bool:
    """Whether this session has shown that the order is theirs, by a link in a mail for instance."""
    return str(Opener.of(order)) in session.get(OPENED_KEY, [])


def _knows(session: SessionBase, order: Order) -> bool:
    return had_cart(session, order.checkout_id) or has_opened(session, order)


def _is_owner(request: HttpRequest, order: Order) -> bool:
    return order.customer_id is not None and order.customer_id == request.user.pk


def _is_staff(request: HttpRequest) -> bool:
    return request.user.is_staff and request.user.has_perm("orders.view_order")
