"""Staff correct where a parcel goes, while none was sent."""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime

from django.db import transaction

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.history import note_staff
from checkout.orders.models import Order
from checkout.orders.states import DispatchStatus

# Country and region are not among them: tax and delivery were worked out for those.
CORRECTABLE = (
    *("full_name", "company", "address", "address2"),
    *("postcode", "city", "phone"),
)

# Where dispatch was not recorded, only a person knows whether the order was sent.
MAY_BE_UNSENT = (DispatchStatus.UNSENT, DispatchStatus.NOT_RECORDED)


def address_of(order: Order) -> dict[str, str]:
    """What may be corrected, as it is now."""
    return {name: getattr(order, name) for name in CORRECTABLE}


def digest_of_address(order: Order) -> str:
    """A digest of what a page shows, by which a correction of somebody else is noticed."""
    shown = json.dumps([*address_of(order).values()])
    return hashlib.sha256(shown.encode()).hexdigest()


def can_correct_address(order: Order) -> bool:
    return order.dispatch_status in MAY_BE_UNSENT and order.erased_at is None


def correct_address(
    order: Order, *, address: Mapping[str, str], seen: str, by: str, why: str, now: datetime
) -> str:
    """Have parcels go to another address of the same country and region. `seen` is the digest of
    the address that the page showed: of two people who correct it at once, the second reads so."""
    with transaction.atomic():
        current = Order.objects.select_for_update().get(pk=order.pk)
        _must_be_correctable(current)
        changed = {name: address[name] for name in CORRECTABLE}
        if changed == address_of(current):
            return "That is the address already; nothing was changed."
        if seen != digest_of_address(current):
            raise ActionImpossible(
                "Somebody else corrected the address while this page was open. Nothing was "
                "changed. Look at the order again."
            )
        Order.objects.filter(pk=order.pk).update(**changed)
        # The event names no address: events are kept for ever and other systems' people see them.
        note_staff(order.pk, "Address corrected", by=by, why=why, now=now)
    return "The address was corrected. Packing slips that were printed before have the old one."


def _must_be_correctable(order: Order) -> None:
    if order.erased_at is not None:
        raise ActionImpossible("The customer's data was erased, so no address is written down.")
    if not can_correct_address(order):
        raise ActionImpossible(
            "The address can be corrected only while nothing was sent and something will be. "
            "Nothing was changed."
        )
