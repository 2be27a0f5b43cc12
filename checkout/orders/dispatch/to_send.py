"""The orders of which something is to be sent."""

from django.db.models import QuerySet

from checkout.orders.models import Order, OrderLine
from checkout.orders.states import SENDABLE, TO_SEND


def orders_to_send() -> "QuerySet[Order]":
    """Paid orders of which something is to be sent, the oldest first. An index holds these alone,
    so this costs what there is to send, and not what was ever sold."""
    waiting = Order.objects.filter(status__in=SENDABLE, dispatch_status__in=TO_SEND, is_held=False)
    return waiting.order_by("id")


def lines_to_send(order: Order) -> list[OrderLine]:
    """The lines of which pieces are still to be sent; `to_send` says how many."""
    return [line for line in order.lines.all() if line.to_send]
