"""Giving an unpaid order up, and taking it back when its payment arrives after all."""

from datetime import datetime

from django.db import transaction

from checkout.catalogue.stock import OutOfStock, release_stock, reserve_stock
from checkout.orders.models import Order
from checkout.orders.states import EXPIRING, OrderStatus
from checkout.orders.transitions import transition


def cancel_unpaid(order: Order, *, reason: str, now: datetime) -> bool:
    """Cancel and release the stock, once. False when the order is paid, or being paid again.

    Only for an order whose payments can never succeed any more, by the gateway's word.
    """
    with transaction.atomic():
        if not transition(
            order.pk, OrderStatus.CANCELLED, sources=EXPIRING, reason=reason, now=now
        ):
            return False
        release_stock(_quantities(order))
    return True


def revive(order: Order, *, reason: str, now: datetime) -> bool:
    """A cancelled order turns out to be paid. False when its goods are sold to others by now."""
    try:
        with transaction.atomic():
            if not transition(
                order.pk, OrderStatus.PAID, sources=[OrderStatus.CANCELLED], reason=reason, now=now
            ):
                return False
            reserve_stock(_quantities(order))
    except OutOfStock:
        return False
    return True


def _quantities(order: Order) -> dict[int, int]:
    return dict(order.lines.values_list("product_id", "quantity"))
