"""Orders of this installation that something outside names and its database does not have.

This happens when a backup is restored: only the gateway, the queue and the customers know what came
after the backup. Whoever meets such an order notes what is known of the order, for a person.
A lost order is never attached to another one, not even to the one that was given its number since.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.runtime import metrics
from payments.models import LostOrder, new_key

if TYPE_CHECKING:  # web processes note lost orders, and load no gateway
    from payments.gateways.base import GatewayPayment

logger = logging.getLogger(__name__)


def note_lost(
    order: OrderIdentity,
    *,
    gateway: str = "",
    gateway_payment_id: str = "",
    state: str = "",
    amount_minor: int | None = None,
    currency: str = "",
    opened_at: datetime | None = None,
    now: datetime,
) -> None:
    """What is known of the payment is left out where only an event or a message named the order. A
    lost order that was seen to comes before a person again when the gateway tells another state."""
    gateway_payment_id = gateway_payment_id[:120]
    known: dict[str, Any] = {"state": state, "amount_minor": amount_minor, "currency": currency}
    if opened_at:
        known["opened_at"] = opened_at
    if not _is_news(order, gateway, gateway_payment_id):
        return
    row, is_new = LostOrder.objects.get_or_create(
        reference=order.reference,
        gateway_payment_id=gateway_payment_id,
        defaults={"gateway": gateway, "number": order.number[:24], "found_at": now, **known},
    )
    if not is_new and state and state != row.state:
        if row.seen_to_at:
            known |= {"seen_to_at": None, "seen_to_by": "", "seen_to_how": "", "agreed_at": None}
        LostOrder.objects.filter(pk=row.pk).update(**known)
    if is_new:
        logger.error(
            "An order of this installation is not in its database; a person must look",
            extra={"order": order.number, "payment": gateway_payment_id},
        )


def _is_news(order: OrderIdentity, gateway: str, gateway_payment_id: str) -> bool:
    """Nothing is new where the order alone is named again. A message may have named the order
    before its payment was known: that row becomes the payment's."""
    of_order = LostOrder.objects.filter(reference=order.reference)
    if not gateway_payment_id:
        return not of_order.exists()
    if not of_order.filter(gateway_payment_id=gateway_payment_id).exists():
        of_order.filter(gateway_payment_id="").update(
            gateway=gateway, gateway_payment_id=gateway_payment_id
        )
    return True


def note_lost_payments(payments: "Iterable[tuple[str, GatewayPayment]]", *, now: datetime) -> None:
    """Each payment comes with the name of its gateway."""
    for gateway, theirs in payments:
        note_lost(
            theirs.order,
            gateway=gateway,
            gateway_payment_id=theirs.id,
            state=theirs.state.value,
            amount_minor=theirs.amount_minor,
            currency=theirs.currency,
            opened_at=theirs.opened_at,
            now=now,
        )


def not_seen_to(payments: "list[GatewayPayment]") -> "list[GatewayPayment]":
    """The payments of which no person has said, in their present state, that all is done."""
    ids = [theirs.id for theirs in payments]
    done = set(
        LostOrder.objects.filter(gateway_payment_id__in=ids, seen_to_at__isnull=False).values_list(
            "gateway_payment_id", "state"
        )
        if ids
        else ()
    )
    return [theirs for theirs in payments if (theirs.id, theirs.state.value) not in done]


def seen_to(lost: LostOrder, *, by: str, how: str, now: datetime) -> bool:
    """Note that a person has seen to the lost order. False when somebody has said so before."""
    unseen = LostOrder.objects.filter(pk=lost.pk, seen_to_at=None)
    done = bool(unseen.update(seen_to_at=now, seen_to_by=by, seen_to_how=how[:1000]))
    if done:
        logger.info("A lost order was seen to", extra={"order": lost.number, "by": by})
    return done


def agree_to_give_up(lost: LostOrder, *, by: str, why: str, now: datetime) -> bool:
    """Have the worker give the payment up. False when somebody has agreed before."""
    if not lost.gateway_payment_id:
        raise ActionImpossible("No payment is known of this order, so there is nothing to do.")
    unseen = LostOrder.objects.filter(pk=lost.pk, agreed_at=None, seen_to_at=None)
    agreed = unseen.update(
        agreed_at=now,
        agreed_by=by,
        agreed_why=why[:1000],
        refund_key=lost.refund_key or new_key(),
        next_try_at=now,
    )
    if agreed:
        logger.info("A lost order's payment is to be given up", extra={"order": lost.number})
    return bool(agreed)


def unseen_count() -> int:
    return LostOrder.objects.filter(seen_to_at=None).count()


def sample_lost() -> None:
    metrics.LOST_ORDERS.set(unseen_count())
