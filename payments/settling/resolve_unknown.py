"""A person says what became of a payment about which the gateway has been silent for long.

It is kept with their evidence and name. Should the gateway say otherwise later, it is believed.
"""

from datetime import datetime

from django.db import transaction

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.history import note_staff
from payments.capturing.record import record_charge
from payments.gateways.base import GatewayState
from payments.models import Payment
from payments.settling.close_payment import told_as
from payments.settling.lock_order import lock_order
from payments.settling.outcomes import record_decline
from payments.states import UNDECIDED, PaymentStatus

# An id that a person found would be taken on trust, and may name another shop's charge: the order
# numbers of two installations on one account can be the same.
NEVER_CONFIRMED = (
    "This payment has no id of the gateway's, so this shop never confirmed it. If the gateway "
    "shows a charge with this order's reference, `reconcile_payments --repair` records it."
)


def resolve_charged(
    payment: Payment, *, gateway_payment_id: str, by: str, evidence: str, now: datetime
) -> str:
    """The payment was charged, with its amount."""
    with transaction.atomic():
        lock_order(payment)
        payment.refresh_from_db()
        _must_be_undecided(payment)
        if not payment.gateway_payment_id:
            raise ActionImpossible(NEVER_CONFIRMED)
        if payment.gateway_payment_id != gateway_payment_id:
            raise ActionImpossible("The gateway knows this payment by another id; see above.")
        answer = told_as(payment, GatewayState.PAID)
        note_staff(payment.order_id, "Resolved: it was charged", by=by, why=evidence, now=now)
        record_charge(payment, answer, now=now, reason="Paid, as a person found out")
    return "The payment is recorded as charged."


def resolve_not_charged(payment: Payment, *, by: str, evidence: str, now: datetime) -> str:
    """The customer may pay again; before that the worker closes this payment at the gateway."""
    with transaction.atomic():
        lock_order(payment)
        payment.refresh_from_db()
        _must_be_undecided(payment)
        note_staff(payment.order_id, "Resolved: it was not charged", by=by, why=evidence, now=now)
        record_decline(payment, "resolved_by_staff", now=now, status=PaymentStatus.CANCELLED)
    return "The payment is recorded as not charged; the customer can pay again."


def _must_be_undecided(payment: Payment) -> None:
    if payment.status not in UNDECIDED:
        raise ActionImpossible(
            f"Nothing to resolve: this payment is {payment.get_status_display().lower()}."
        )
