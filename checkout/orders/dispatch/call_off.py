"""Pieces that will never be sent: their order was cancelled or refunded before they left."""

import hashlib
from collections.abc import Collection

from checkout.catalogue.stock import restock_stock
from checkout.orders.dispatch.pieces import (
    Pieces,
    by_product,
    move_pieces,
    record_dispatch_status,
)
from checkout.orders.models import Order, OrderLine
from checkout.orders.states import DispatchStatus


def call_off(
    order: Order,
    quantities: Pieces | None = None,
    *,
    restock: Pieces | bool,
    by: str,
    why: str,
    key: str,
) -> dict[int, int]:
    """Have pieces never be sent: `{line id: pieces}`, or all that were not sent. Those of `restock`
    are put back on sale, which is true of all or none, or of so many pieces of each line.

    The order is locked by the caller, in its transaction. Returns what was called off. That is
    nothing for an order whose dispatch was not recorded: for all that is known it was sent.
    """
    if order.dispatch_status == DispatchStatus.NOT_RECORDED:
        return {}
    lines = list(order.lines.all())
    unsent = {line.pk: line.quantity - line.shipped - line.called_off for line in lines}
    wanted = unsent if quantities is None else quantities
    pieces = {line_id: count for line_id, count in wanted.items() if count}
    if not pieces:
        return {}
    on_sale = restock if not isinstance(restock, bool) else pieces if restock else {}
    move_pieces(order.pk, called_off=pieces, put_back=on_sale)
    put_on_sale(order, on_sale, lines, by=by, why=why, key=key)
    record_dispatch_status(order)
    return pieces


def put_on_sale(
    order: Order, pieces: Pieces, lines: Collection[OrderLine], *, by: str, why: str, key: str
) -> None:
    """Put pieces back into stock. `move_pieces` has counted them as `put_back` before, in the
    same transaction, so no piece is put back twice. `key` is that of the act."""
    products = by_product(pieces, lines)
    if products:
        short = hashlib.sha256(key.encode()).hexdigest()[:32]
        restock_stock(products, order_id=order.pk, by=by, why=why, key=short)
