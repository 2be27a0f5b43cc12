"""Orders that are to be sent, and what was sent of them."""

from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.factories import OpenBasket, line, purchase


def order_to_send(*goods: tuple[Product, int]) -> Order:
    """A paid order of so many pieces of each product."""
    basket = OpenBasket([line(product, pieces) for product, pieces in goods])
    order = place_order(purchase(), basket, now=timezone.now())
    assert transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    order.refresh_from_db()
    return order


def pieces_sent(order: Order) -> list[int]:
    """How many pieces of each line are sent, the lines as they were ordered."""
    return list(order.lines.order_by("id").values_list("shipped", flat=True))
