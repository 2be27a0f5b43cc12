"""Which of the gateway's payments are ours, and what our books have of them."""

from dataclasses import dataclass
from typing import Self

from checkout.orders.identity.matching import names_us, orders_named
from checkout.orders.models import Order
from payments.gateways.base import GatewayPayment
from payments.models import Payment


@dataclass(frozen=True, kw_only=True)
class Ownership:
    """A payment is ours by its stored id, or by the reference and the installation that it names;
    never by its order's number, which another installation's order may have too."""

    payments: dict[str, Payment]  # by the gateway's id
    orders: dict[str, Order]  # by the gateway's id, for payments whose id is not stored
    lost: list[GatewayPayment]  # they name us, and an order that is not here
    strangers: list[GatewayPayment]

    @classmethod
    def of(cls, chunk: list[GatewayPayment]) -> Self:
        """Takes two statements, however large the chunk."""
        stored = Payment.objects.filter(gateway_payment_id__in=[theirs.id for theirs in chunk])
        payments = {ours.gateway_payment_id: ours for ours in stored.select_related("order")}
        unstored = [theirs for theirs in chunk if theirs.id not in payments]
        ours = [theirs for theirs in unstored if names_us(theirs.order)]
        named = {order.reference: order for order in orders_named(theirs.order for theirs in ours)}
        return cls(
            payments=payments,
            orders={
                theirs.id: named[theirs.order.reference]
                for theirs in ours
                if theirs.order.reference in named
            },
            lost=[theirs for theirs in ours if theirs.order.reference not in named],
            strangers=[theirs for theirs in unstored if not names_us(theirs.order)],
        )
