"""Asking for money to be sent back. The amount is reserved first, so that never more goes back than
was charged. The worker makes the refund; see `payments.settling.refunds`.
"""

import logging
from datetime import datetime

from django.contrib.auth.models import User
from django.db import transaction
from django.db.models import F, Sum

from checkout.catalogue.amounts import limits_of
from checkout.catalogue.gateways import gateway_names
from checkout.catalogue.money import money, show_money
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import CANCELLED_UNREFUNDED
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.history import note_staff
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import PAID_FOR
from checkout.orders.sweep_schedule import next_sweep
from payments.models import Payment, Refund, new_key
from payments.settling.disputed_money import is_disputed, lost_minor
from payments.settling.lock_order import lock_order
from payments.states import COUNTED_REFUNDS, UNSETTLED_REFUNDS, PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)


class RefundImpossible(ActionImpossible):
    """The refund was not asked for. The message says why, to staff."""


def refundable_minor(payment: Payment) -> int:
    """What is left of what was charged, in the currency's minor unit."""
    counted = payment.refunds.filter(status__in=COUNTED_REFUNDS, is_release=False)
    taken: int = counted.aggregate(total=Sum("amount_minor"))["total"] or 0
    return max(0, payment.taken_minor - taken - lost_minor(payment))


def must_not_be_disputed(order_id: int) -> None:
    if is_disputed(order_id):
        raise RefundImpossible(
            "The customer's bank disputes a charge of this order and holds the money, so nothing "
            "can be sent back until it has decided: else the customer could have it twice. Answer "
            "at the gateway's own site."
        )


def must_be_refundable(payment: Payment, amount_minor: int) -> None:
    if payment.status != PaymentStatus.PAID:
        raise RefundImpossible("This payment was not charged, so nothing can be sent back.")
    left = refundable_minor(payment)
    if not 0 < amount_minor <= left:
        most = show_money(money(left, payment.currency))
        raise RefundImpossible(f"Of this payment {most} is left to be sent back.")
    if payment.gateway not in gateway_names():
        raise RefundImpossible(
            f"This payment was made by {payment.gateway}, which PAYMENT_GATEWAYS does not name any "
            "more. Send the money back at the gateway's own site, or name it there again."
        )
    limits = limits_of(payment.currency, payment.gateway)
    if limits and amount_minor % limits.step_minor:
        step = show_money(money(limits.step_minor, payment.currency))
        raise RefundImpossible(f"The gateway sends money back only in steps of {step}.")


def unreplaced(payment: Payment, amount_minor: int) -> Refund | None:
    """The oldest refund of this amount that came to nothing and was not sent again since."""
    failed = payment.refunds.filter(
        status=RefundStatus.FAILED,
        amount_minor=amount_minor,
        settled_at__isnull=False,
        is_release=False,
    )
    return failed.filter(replaced_by=None).order_by("id").first()


def request_refund(
    payment: Payment,
    *,
    amount_minor: int,
    reason: str,
    requested_by: User | None,
    now: datetime,
    key: str | None = None,
) -> Refund:
    """Reserve the amount and have the worker send it back. Two requests under one key are one
    refund. Without a key they are two, and what was charged is the limit of both together."""
    key = key or new_key()
    with transaction.atomic():
        lock_order(payment)
        # The lock makes two people who ask at once wait for each other's sum.
        payment = Payment.objects.select_for_update().get(pk=payment.pk)
        if asked_before := payment.refunds.filter(key=key).first():
            return asked_before
        must_not_be_disputed(payment.order_id)
        must_be_refundable(payment, amount_minor)
        refund = reserve(
            payment,
            amount_minor=amount_minor,
            reason=reason,
            requested_by=requested_by,
            key=key,
            now=now,
        )
        by = requested_by.get_username() if requested_by else ""
        have_it_sent(refund, by=by, why=reason, now=now)
    return refund


def reserve(
    payment: Payment,
    *,
    amount_minor: int,
    delivery_minor: int = 0,
    is_release: bool = False,
    reason: str,
    requested_by: User | None,
    key: str,
    now: datetime,
) -> Refund:
    """Write a refund down, whose amount no other refund can have from then on. The order and the
    payment are locked by the caller, who has judged the amount."""
    if is_release:
        Payment.objects.filter(pk=payment.pk).update(
            released_minor=F("released_minor") + amount_minor
        )
    return Refund.objects.create(
        payment=payment,
        status=RefundStatus.REQUESTED,
        amount_minor=amount_minor,
        delivery_minor=delivery_minor,
        is_release=is_release,
        reason=reason,
        requested_by=requested_by,
        replaces=None if is_release else unreplaced(payment, amount_minor),
        key=key,
        created_at=now,
    )


def send_all_back(order: Order, *, now: datetime) -> None:
    """Ask for the refund of all that is left of an order that was cancelled after it was paid. The
    keys are made of the order, so that this is asked for once, however often it is called."""
    for payment in order.payments.filter(status=PaymentStatus.PAID, is_surplus=False):
        try:
            _send_rest_back(payment, order, now=now)
        except RefundImpossible:
            logger.error(
                "The money of a cancelled order could not be sent back; a person must look",
                extra={"order": order.number},
            )
            put_before_a_person(order.pk, CANCELLED_UNREFUNDED, now=now)
    pending = Refund.objects.filter(payment__order=order, status__in=UNSETTLED_REFUNDS)
    if not pending.exists():  # so there is no outcome that the sweep could wait for
        Order.objects.filter(pk=order.pk, status__in=PAID_FOR, authorised_until=None).update(
            sweep_at=None
        )


def _send_rest_back(payment: Payment, order: Order, *, now: datetime) -> None:
    """What is left is reckoned under the order's lock: staff may send a part back meanwhile."""
    with transaction.atomic():
        lock_order(payment)
        if left := refundable_minor(payment):
            request_refund(
                payment,
                amount_minor=left,
                reason="Cancelled after it was paid",
                requested_by=None,
                key=f"cancel-{payment.pk}-{order.reference}",
                now=now,
            )


def approve_refund(refund: Refund, *, approved_by: User, why: str, now: datetime) -> bool:
    """Agree to a refund that the shop has prepared. False if somebody did so before. Impossible
    while the customer's bank disputes a charge of the order."""
    with transaction.atomic():
        lock_order(refund.payment)
        must_not_be_disputed(refund.payment.order_id)
        agreed = Refund.objects.filter(pk=refund.pk, status=RefundStatus.PREPARED).update(
            status=RefundStatus.REQUESTED, requested_by=approved_by
        )
        if agreed:
            have_it_sent(refund, by=approved_by.get_username(), why=why, now=now)
    return bool(agreed)


def have_it_sent(refund: Refund, *, by: str, why: str, now: datetime, what: str = "") -> None:
    """Tell the worker of a refund. What is not paid for any more must not be sent either. `what` is
    added to the words of the order's history."""
    payment = refund.payment
    is_all_back = not refundable_minor(payment) and payment.order.authorised_until is None
    if is_all_back and not payment.is_surplus:
        call_off(payment.order, restock=False, by=by, why=why, key=refund.key)
    order_id = payment.order_id
    amount = show_money(refund.amount)
    words = (
        f"{amount} is not to be charged" if refund.is_release else f"Refund of {amount} asked for"
    )
    note_staff(order_id, f"{words}{what}", by=by, why=why, now=now)
    Order.objects.filter(pk=order_id).update(sweep_at=next_sweep(now))
    # What a bank keeps may not be needed any more.
    kinds = OutboxMessage.Kind
    kind = kinds.CAPTURE if payment.order.authorised_until else kinds.REFUND
    ask(order_id, kind, at=now)
