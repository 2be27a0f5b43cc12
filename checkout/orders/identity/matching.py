"""Finding the order that the gateway or a message names, and telling whether it is ours."""

from collections.abc import Iterable

from django.db.models import QuerySet

from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order

LONGEST_REFERENCE = 32


def identity_of(order: Order) -> OrderIdentity:
    return OrderIdentity(
        number=order.number, reference=order.reference, installation=installation_id()
    )


def names_us(identity: OrderIdentity) -> bool:
    """Whether this installation placed the order, which may be lost to the database since."""
    is_ours = identity.installation == installation_id()
    return is_ours and 0 < len(identity.reference) <= LONGEST_REFERENCE


def names_another(identity: OrderIdentity) -> bool:
    return bool(identity.installation) and identity.installation != installation_id()


def orders_named(identities: Iterable[OrderIdentity]) -> QuerySet[Order]:
    """The orders of this installation that these name, as far as the database has them."""
    references = {one.reference for one in identities if names_us(one)}
    return Order.objects.filter(reference__in=references)


def orders_meant(identity: OrderIdentity) -> QuerySet[Order]:
    """The order that a message is about, where the database has it. An older release named the
    order by its number alone, and such a message may still be on its way."""
    if not identity.installation:
        return Order.objects.filter(number=identity.number)
    return orders_named([identity])


def could_name(identity: OrderIdentity, order: Order) -> bool:
    """Whether a payment whose id is stored with this order was opened for it. An older release told
    the gateway the number alone."""
    if identity.reference:
        return identity.reference == order.reference
    return identity.number == order.number
