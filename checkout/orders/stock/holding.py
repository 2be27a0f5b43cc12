"""How many pieces of each product an order holds."""

from django.db.models import Sum

from checkout.catalogue.models import StockMovement
from checkout.orders.models import Order


def pieces_held(order: Order) -> dict[int, int]:
    """Return `{product id: pieces}`: what was bought less what came back, for any status."""
    bought = dict(order.lines.values_list("product_id", "quantity"))
    returned = order.stock_movements.filter(kind=StockMovement.Kind.RESTOCKED).order_by()
    for product_id, pieces in returned.values_list("product_id").annotate(Sum("change")):
        bought[product_id] -= pieces
    return {product_id: pieces for product_id, pieces in bought.items() if pieces > 0}
