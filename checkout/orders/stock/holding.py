"""How many pieces of what an order has taken off the shelf."""

from django.db.models import Sum

from checkout.catalogue.models import StockMovement
from checkout.orders.models import Order


def pieces_held(order: Order) -> dict[int, int]:
    """`{product id: pieces}`: what was bought less what came back, whatever became of the order."""
    bought = dict(order.lines.values_list("product_id", "quantity"))
    returned = order.stock_movements.filter(kind=StockMovement.Kind.RESTOCKED).order_by()
    for product_id, pieces in returned.values_list("product_id").annotate(Sum("change")):
        bought[product_id] -= pieces
    return {product_id: pieces for product_id, pieces in bought.items() if pieces > 0}
