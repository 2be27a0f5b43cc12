"""Putting pieces back on sale that the shop has: they were called off, or came back.

A refund or a return alone puts nothing back, unless a person says so: goods may be broken.
"""

from datetime import datetime

from django.db import transaction

from checkout.catalogue.stock import restock_stock
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.dispatch.pieces import Pieces, by_product, in_words, move_pieces
from checkout.orders.history import note_staff
from checkout.orders.models import Order, OrderLine


def can_go_on_sale(line: OrderLine) -> int:
    """The pieces of a line that the shop has and that are not on sale again."""
    return line.called_off + line.returned - line.put_back


def something_can_go_on_sale(order: Order) -> bool:
    return any(can_go_on_sale(line) for line in order.lines.all())


def restock(order: Order, quantities: Pieces, *, by: str, why: str, key: str, now: datetime) -> str:
    """Put `{line id: pieces}` back, once for each key. Return the message for the page."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        lines = {line.pk: line for line in current.lines.all()}
        wanted = {line_id: count for line_id, count in quantities.items() if count}
        is_there = all(count > 0 and line_id in lines for line_id, count in wanted.items())
        if not (wanted and is_there):
            raise ActionImpossible("Nothing was put back. Say how many pieces.")
        products = by_product(wanted, lines.values())
        if before := _recorded_under(current, key):
            if before != products:
                raise ActionImpossible(
                    "This form was saved before with other pieces, and those were put back. Open "
                    "the page again to put back more."
                )
            return "This was recorded before; nothing was added."
        if any(count > can_go_on_sale(lines[line_id]) for line_id, count in wanted.items()):
            raise ActionImpossible(
                "Nothing was put back. The shop has fewer pieces of this order than that: "
                "take the return in first."
            )
        move_pieces(current.pk, put_back=wanted)
        restock_stock(products, order_id=current.pk, by=by, why=why, key=key)
        what = f"Put back in stock: {in_words(wanted, lines.values())}"
        note_staff(current.pk, what, by=by, why=why, now=now)
    return f"{what}."


def _recorded_under(order: Order, key: str) -> dict[int, int]:
    recorded = order.stock_movements.filter(key__startswith=f"{key}-")
    return dict(recorded.values_list("product_id", "change"))
