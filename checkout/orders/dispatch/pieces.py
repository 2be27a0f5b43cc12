"""How many pieces of each line were sent, called off, taken back, put on sale again and refunded.

Whatever changes these numbers locks the order first and changes them here, in one statement. The
CHECK constraints of `OrderLine` say what can never be: the code of the acts only finds the words.
"""

from collections.abc import Collection, Mapping

from django.db import connection

from checkout.orders.models import Order, OrderLine
from checkout.orders.states import DispatchStatus

# Line id → pieces.
Pieces = Mapping[int, int]

MOVE = """
    UPDATE orders_orderline l SET
        shipped = l.shipped + m.shipped, called_off = l.called_off + m.called_off,
        returned = l.returned + m.returned, put_back = l.put_back + m.put_back,
        refunded = l.refunded + m.refunded
    FROM unnest(
        %(lines)s::bigint[], %(shipped)s::int[], %(called_off)s::int[], %(returned)s::int[],
        %(put_back)s::int[], %(refunded)s::int[]
    ) AS m(line_id, shipped, called_off, returned, put_back, refunded)
    WHERE l.id = m.line_id AND l.order_id = %(order)s
"""


def move_pieces(
    order_id: int,
    *,
    shipped: Pieces | None = None,
    called_off: Pieces | None = None,
    returned: Pieces | None = None,
    put_back: Pieces | None = None,
    refunded: Pieces | None = None,
) -> None:
    """Add to the numbers of an order's lines; negative pieces take back. The order is locked by
    the caller. Raises `IntegrityError` where a constraint says that it cannot be."""
    added: dict[str, Pieces] = {
        "shipped": shipped or {},
        "called_off": called_off or {},
        "returned": returned or {},
        "put_back": put_back or {},
        "refunded": refunded or {},
    }
    lines = sorted({line_id for pieces in added.values() for line_id in pieces})
    params: dict[str, list[int] | int] = {
        name: [pieces.get(line_id, 0) for line_id in lines] for name, pieces in added.items()
    }
    with connection.cursor() as cursor:
        cursor.execute(MOVE, {**params, "lines": lines, "order": order_id})


def record_dispatch_status(order: Order) -> DispatchStatus:
    """Write down how far the order is sent, as its lines say now."""
    status = dispatch_status_of(order.lines.all())
    if order.dispatch_status == DispatchStatus.NOT_RECORDED and not order.shipments.exists():
        return DispatchStatus.NOT_RECORDED  # what else was sent of it, nobody knows
    Order.objects.filter(pk=order.pk).update(dispatch_status=status)
    return status


def dispatch_status_of(lines: Collection[OrderLine]) -> DispatchStatus:
    delivered = [line for line in lines if line.is_delivered]
    if not delivered:
        return DispatchStatus.NOTHING_TO_SEND
    to_send = sum(line.to_send for line in delivered)
    sent = sum(line.shipped for line in delivered)
    if not sent:
        return DispatchStatus.UNSENT if to_send else DispatchStatus.CALLED_OFF
    if to_send:
        return DispatchStatus.PARTLY_SENT
    came_back = sum(line.returned for line in delivered)
    return DispatchStatus.RETURNED if came_back == sent else DispatchStatus.SENT


def in_words(pieces: Pieces, lines: Collection[OrderLine]) -> str:
    """The pieces by SKU, for the order's history."""
    skus = {line.pk: line.sku for line in lines}
    return ", ".join(f"{count} × {skus[line_id]}" for line_id, count in pieces.items() if count)


def by_product(pieces: Pieces, lines: Collection[OrderLine]) -> dict[int, int]:
    """Product id → pieces, which is what the stock is told."""
    products = {line.pk: line.product_id for line in lines}
    return {products[line_id]: count for line_id, count in pieces.items() if count}
