"""Putting goods that came back in stock again, which staff do who have the goods in hand.

A refund alone puts nothing back, for money is often sent back for goods that stay or are broken.
"""

from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from checkout.catalogue.stock import restock_stock
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.history import note_staff
from checkout.orders.models import Order
from checkout.orders.states import PAID_FOR
from checkout.orders.stock.holding import pieces_held


def pieces_out(order: Order) -> dict[int, int]:
    """Return the pieces that may still come back, by product id. Goods leave the shop only when
    they are paid for; of any other order, cancelling puts them back."""
    if order.status not in PAID_FOR:
        return {}
    return pieces_held(order)


def restock(
    order: Order, quantities: Mapping[int, int], *, by: str, why: str, key: str, now: datetime
) -> str:
    """Put `{product id: pieces}` back, once for each key. Return the message for the page."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        if before := _recorded_under(current, key):
            if before != quantities:
                raise ActionImpossible(
                    "This form was saved before with other pieces, and those were put back. Open "
                    "the page again to put back more."
                )
            return "This was recorded before; nothing was added."
        out = pieces_out(current)
        if not quantities:
            raise ActionImpossible("Nothing was put back. Say how many pieces came back.")
        if any(pieces > out.get(product_id, 0) for product_id, pieces in quantities.items()):
            raise ActionImpossible("Nothing was put back. This order holds fewer pieces than that.")
        restock_stock(quantities, order_id=order.pk, by=by, why=why, key=key)
        what = _in_words(current, quantities)
        note_staff(order.pk, what, by=by, why=why, now=now)
    return f"{what}."


def _recorded_under(order: Order, key: str) -> dict[int, int]:
    recorded = order.stock_movements.filter(key__startswith=f"{key}-")
    return dict(recorded.values_list("product_id", "change"))


def _in_words(order: Order, quantities: Mapping[int, int]) -> str:
    skus = dict(order.lines.values_list("product_id", "sku"))
    return "Put back in stock: " + ", ".join(
        f"{pieces} × {skus[product_id]}" for product_id, pieces in quantities.items()
    )
