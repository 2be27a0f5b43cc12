"""Whose an order is that something outside of the database names."""

from enum import Enum

from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.names import OrderIdentity
from checkout.orders.models import Order


class Whose(Enum):
    OURS = "ours"
    LOST = "ours, and lost"  # this installation placed it, and its database does not have it
    ANOTHERS = "of another installation"
    UNNAMED = "of no installation"  # of another program, or of a release before there were names


def identity_of(order: Order) -> OrderIdentity:
    return OrderIdentity(
        number=order.number, reference=order.reference, installation=installation_id()
    )


def names_us(identity: OrderIdentity) -> bool:
    return bool(identity.reference) and identity.installation == installation_id()
