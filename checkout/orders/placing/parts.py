"""A quote as the columns of its order and lines: the rule and the rates are kept with the order."""

from collections.abc import Sequence
from typing import Any

from checkout.orders.models import Order, OrderLine
from checkout.orders.placing.purchase import PurchaseLine
from checkout.orders.states import DispatchStatus
from checkout.quotes.quote import Quote
from checkout.quotes.rules import plain_percent


def parts_of(quote: Quote) -> dict[str, Any]:
    """The parts of the total as the fields of an order."""
    delivery = quote.delivery
    return {
        "total_minor": quote.total_minor,
        "goods_minor": quote.goods_minor,
        "discount_minor": quote.discount_minor,
        "delivery_minor": quote.delivery_minor,
        "tax_minor": quote.tax_minor,
        "prices_include_tax": quote.prices_include_tax,
        "taxes": [
            {
                "percent": plain_percent(tax.percent),
                "net_minor": tax.net_minor,
                "tax_minor": tax.tax_minor,
            }
            for tax in quote.taxes
        ],
        "delivery_method": delivery.method.id if delivery else "",
        "delivery_name": delivery.method.name if delivery else "",
        "discount_code": quote.code.code if quote.code else "",
        "dispatch_status": DispatchStatus.UNSENT
        if any(quoted.line.is_delivered for quoted in quote.lines)
        else DispatchStatus.NOTHING_TO_SEND,
    }


def order_lines(order: Order, bought: Sequence[PurchaseLine], quote: Quote) -> list[OrderLine]:
    """The lines of an order, not stored yet."""
    return [
        OrderLine(
            order=order,
            product_id=each.line.product_id,
            sku=each.sku,
            name=each.name,
            quantity=each.line.quantity,
            unit_price_minor=each.line.unit_price_minor,
            discount_minor=quoted.discount_minor,
            tax_percent=quoted.tax_percent,
            tax_minor=quoted.tax_minor,
            is_delivered=each.line.is_delivered,
        )
        for each, quoted in zip(bought, quote.lines, strict=True)
    ]
