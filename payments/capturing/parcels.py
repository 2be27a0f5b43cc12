"""How much of what the bank keeps is to be charged for which parcel, and what never will be.

The order is locked by whoever asks. What was sent and is not charged yet is charged with the next
parcel, and delivery with the first. The last parcel is charged with all that is left, so that all
charges together are what the order costs, less what is not sent.
"""

from collections import Counter
from dataclasses import dataclass

from checkout.orders.dispatch.pieces import Pieces
from checkout.orders.models import Order, OrderLine, Shipment
from checkout.orders.states import TO_SEND
from payments.models import Payment
from payments.prices import parcels_cost_minor, step_minor


@dataclass(frozen=True, kw_only=True)
class DueParcel:
    """A parcel that was sent, and what is to be charged for it."""

    shipment: Shipment
    amount_minor: int
    is_last: bool


def due_parcel(payment: Payment, order: Order) -> DueParcel | None:
    """The oldest parcel for which something is to be charged and was not asked for."""
    lines = list(order.lines.all())
    asked_for = set(payment.captures.values_list("shipment_id", flat=True))
    shipments = list(
        order.shipments.filter(undone_at=None).order_by("id").prefetch_related("lines")
    )
    waiting = [shipment for shipment in shipments if shipment.pk not in asked_for]
    sent = Counter(_not_delivered(lines))
    for shipment in shipments:
        sent.update({line.line_id: line.quantity for line in shipment.lines.all()})
        if shipment not in waiting:
            continue
        is_last = shipment == waiting[-1] and order.dispatch_status not in TO_SEND
        if is_last:
            amount_minor = payment.rest_minor
        else:
            due_minor = parcels_cost_minor(order, lines, sent) - payment.capture_minor
            amount_minor = min(payment.rest_minor, due_minor)
        amount_minor -= amount_minor % step_minor(order.currency, order.gateway)
        if amount_minor > 0:
            is_last = is_last or order.goes_in_one_parcel
            return DueParcel(shipment=shipment, amount_minor=amount_minor, is_last=is_last)
    return None


def never_charged_minor(payment: Payment, order: Order, not_sent: Pieces) -> int:
    """How much of what the bank keeps is not needed any more once these pieces are called off."""
    lines = list(order.lines.all())
    kept = {line.pk: line.quantity - line.called_off - not_sent.get(line.pk, 0) for line in lines}
    needed_minor = parcels_cost_minor(order, lines, kept) - payment.capture_minor
    return payment.rest_minor - max(0, needed_minor)


def _not_delivered(lines: list[OrderLine]) -> dict[int, int]:
    """What no parcel has is charged with the first one."""
    return {line.pk: line.quantity - line.called_off for line in lines if not line.is_delivered}
