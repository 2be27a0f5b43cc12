"""What one message about an order leads to, and the order that it names."""

from enum import Enum

from checkout.orders.models import Order


class UnknownOrder(Exception):
    """No order has this number: the message was not sent by this shop."""


class Result(Enum):
    """What became of one message about an order. The message is done with, unless another worker
    is BUSY with the payment: then it has to come again."""

    NOTHING_TO_DO = "nothing to do"
    PAID = "paid"
    DECLINED = "declined"
    NEEDS_ACTION = "needs action"
    PROMISED = "promised"
    AUTHORISED = "authorised"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"
    LATER = "asked again later"
    BUSY = "another worker is at it"


def order_by_number(order_number: str) -> Order:
    try:
        return Order.objects.get(number=order_number)
    except Order.DoesNotExist:
        raise UnknownOrder(order_number) from None
