"""What the pieces of an order's lines and its delivery cost, in the currency's minor unit.

All pieces of all lines and delivery cost together what the order costs.
"""

from collections.abc import Collection

from checkout.catalogue.amounts import limits_of
from checkout.orders.dispatch.pieces import Pieces
from checkout.orders.models import Order, OrderLine


def cost_minor(order: Order, line: OrderLine) -> int:
    """What the whole line cost: its price less its share of the discount, with its tax."""
    added = 0 if order.prices_include_tax else line.tax_minor
    return line.total_minor - line.discount_minor + added


def pieces_cost_minor(order: Order, line: OrderLine, count: int) -> int:
    """What the first pieces of a line cost. The units that cannot be divided go with its last."""
    whole, step = cost_minor(order, line), step_minor(order.currency, order.gateway)
    return whole if count == line.quantity else count * (whole // line.quantity // step * step)


def delivery_cost_minor(order: Order, lines: Collection[OrderLine]) -> int:
    """What delivery cost with its tax."""
    if order.prices_include_tax:
        return order.delivery_minor
    return order.delivery_minor + order.tax_minor - sum(line.tax_minor for line in lines)


def parcels_cost_minor(order: Order, lines: Collection[OrderLine], pieces: Pieces) -> int:
    """What so many pieces of each line cost, with delivery, in the gateway's steps."""
    priced = (pieces_cost_minor(order, line, pieces.get(line.pk, 0)) for line in lines)
    cost = sum(priced) + delivery_cost_minor(order, lines)
    return cost - cost % step_minor(order.currency, order.gateway)


def step_minor(currency: str, gateway: str) -> int:
    limits = limits_of(currency, gateway)
    return limits.step_minor if limits else 1
