"""An order's parcels, and what became of the pieces of each line, in words for its customer."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils.translation import gettext as _

from checkout.orders.models import Order, OrderLine, ShipmentLine
from checkout.orders.states import UNSETTLED, WAS_SENT, DispatchStatus, OrderStatus

# Nothing was ever sent of an order in one of these states: no order that may be sent comes into
# one, but where a bank keeps the money for a parcel no longer.
NEVER_SENT = {*UNSETTLED, OrderStatus.PAYMENT_FAILED} - {OrderStatus.AUTHORISED}


@dataclass(frozen=True, kw_only=True)
class Parcel:
    sent_at: datetime
    method: str
    tracking_number: str
    tracking_link: str
    pieces: list[tuple[int, str]] = field(default_factory=list)  # how many of what


def parcels_of(order: Order) -> list[Parcel]:
    """What was sent, the oldest parcel first, by one statement. A parcel that was marked as sent by
    mistake is none."""
    if order.status in NEVER_SENT and order.dispatch_status not in WAS_SENT:
        return []
    sent = ShipmentLine.objects.filter(shipment__order=order, shipment__undone_at=None)
    parcels: dict[int, Parcel] = {}
    for each in sent.select_related("shipment", "line").order_by("shipment", "id"):
        shipment = each.shipment
        parcel = parcels.setdefault(
            shipment.pk,
            Parcel(
                sent_at=shipment.sent_at,
                method=shipment.method,
                tracking_number=shipment.tracking_number,
                tracking_link=shipment.web_link,
            ),
        )
        parcel.pieces.append((each.quantity, each.line.name))
    return list(parcels.values())


def lines_in_words(lines: Iterable[OrderLine]) -> list[tuple[OrderLine, str]]:
    """Each line with its order, and what became of its pieces; nothing of an order that waits."""
    return [(line, ", ".join(_became_of(line))) for line in lines]


def _became_of(line: OrderLine) -> Iterator[str]:
    ways = [
        (line.shipped, _("sent"), _("%(pieces)d of %(quantity)d sent")),
        (line.called_off, _("not sent"), _("%(pieces)d of %(quantity)d not sent")),
        (line.returned, _("came back"), _("%(pieces)d of %(quantity)d came back")),
    ]
    for pieces, all_of_it, some_of_it in ways:
        if pieces:
            words = all_of_it if pieces == line.quantity else some_of_it
            yield words % {"pieces": pieces, "quantity": line.quantity}
    if not line.to_send:
        return
    if line.to_send < line.quantity:
        yield _("%(pieces)d still to be sent") % {"pieces": line.to_send}
    elif line.order.dispatch_status == DispatchStatus.PARTLY_SENT:
        yield _("still to be sent")
