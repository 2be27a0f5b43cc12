"""What the gateway said, as it becomes true here: payment, order, event and follow-up at once.

The worker's own calls, a webhook's hint, a customer's return and reconciliation all end here.
"""

import logging
from collections.abc import Iterable
from datetime import datetime
from functools import partial

from django.db import transaction

from checkout.orders import metrics
from checkout.orders.cancelling import revive
from checkout.orders.limits import count_decline
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import note, put_before_a_person, resolved, transition
from payments.gateways.base import GatewayPayment
from payments.locks import lock_order
from payments.models import Payment, Refund
from payments.states import PaymentStatus, RefundStatus, sources_of

logger = logging.getLogger(__name__)

# Why a person is asked. Stored with the order, shown to support, told by audit_orders.
UNKNOWN_TOO_LONG = "The gateway has not said for 20 hours whether it charged"
CHARGED_TWICE = "Charged a second time; a refund is prepared"
PAID_AFTER_CANCELLATION = "Paid after it was cancelled, and sold out; a refund is prepared"
OVERCHARGED = "Charged more than it cost; a refund of the difference is prepared"
WRONG_AMOUNT = "The gateway charged less than it cost, or another currency"
REFUSED = "The gateway refused the payment itself, not the card; its reason is in the order's story"
UNKNOWN_TO_GATEWAY = "The gateway does not know a payment that may have been charged"

SURPLUS_REASONS = (CHARGED_TWICE, PAID_AFTER_CANCELLATION, OVERCHARGED)


def record_success(
    payment: Payment, answer: GatewayPayment, *, now: datetime, reason: str = "Payment succeeded"
) -> bool:
    """The gateway charged. False if that was known, or must not be taken for the order's price."""
    if answer.currency != payment.currency or answer.amount_minor < payment.amount_minor:
        logger.log(
            logging.INFO if payment.tries else logging.ERROR,  # told once, and asked about again
            "The gateway charged another amount than was asked; a person must look",
            extra={"order": payment.order.number, "payment": payment.gateway_payment_id},
        )
        put_before_a_person(payment.order_id, WRONG_AMOUNT, now=now)
        return False
    with transaction.atomic():
        order = lock_order(payment)
        if not move_payment(payment, PaymentStatus.PAID, now, charged_minor=answer.amount_minor):
            return False  # recorded before, by another worker or a webhook
        if order.needs_person:
            _end_doubt(order.pk)
            resolved(order.pk, REFUSED)
        others = list(Payment.objects.filter(order=order).exclude(pk=payment.pk))
        if any(other.status == PaymentStatus.PAID and not other.is_surplus for other in others):
            _record_surplus(payment, CHARGED_TWICE, now=now)
        elif order.status == OrderStatus.CANCELLED:
            if not revive(order, reason=f"{reason}, after it was cancelled", now=now):
                _record_surplus(payment, PAID_AFTER_CANCELLATION, now=now)
        else:
            move_order(payment, OrderStatus.PAID, reason, now=now)
            _close_the_round_under_way(payment, others, now=now)
        transaction.on_commit(partial(_count_paid, payment, order, now=now))
        over = answer.amount_minor - payment.amount_minor
        if over and not Payment.objects.filter(pk=payment.pk, is_surplus=True).exists():
            prepare_refund(payment, over, OVERCHARGED, now=now)
    return True


def record_refusal(payment: Payment, code: str, *, now: datetime) -> None:
    """The gateway will not make this payment, whoever's card it is: a decline to the customer, who
    may pay otherwise, and for staff to look at, since the next card may be refused as well."""
    with transaction.atomic():
        record_decline(payment, code, now=now, by_bank=False)
        refused = Payment.objects.filter(pk=payment.pk, status=PaymentStatus.DECLINED)
        if payment.gateway_payment_id:
            refused.filter(closed_at=None).update(closed_at=now)
        if refused.exists():
            logger.error(
                "The gateway refused a payment for what it is; a person must look",
                extra={"order": payment.order.number, "reason": code},
            )
            put_before_a_person(payment.order_id, REFUSED, now=now)


def record_decline(
    payment: Payment,
    code: str,
    *,
    now: datetime,
    status: PaymentStatus = PaymentStatus.DECLINED,
    by_bank: bool = True,
) -> None:
    with transaction.atomic():
        order = lock_order(payment)
        if move_payment(payment, status, now, decline_code=code[:60]):
            _end_doubt(payment.order_id)
            if by_bank:
                resolved(payment.order_id, REFUSED)
            reason = f"Payment not made ({code}); nothing was charged"
            if _is_current(payment, order):
                move_order(payment, OrderStatus.PAYMENT_FAILED, reason, now=now)
            else:
                note(payment.order_id, f"An earlier card: {reason}", now=now)
            transaction.on_commit(partial(_count, payment, "declined"))
            if status is PaymentStatus.DECLINED and by_bank:
                transaction.on_commit(partial(count_decline, payment.order_id, now=now))


def record_needs_action(payment: Payment, action_url: str, *, now: datetime) -> None:
    with transaction.atomic():
        order = lock_order(payment)
        if move_payment(payment, PaymentStatus.NEEDS_ACTION, None):
            _end_doubt(payment.order_id)
            resolved(payment.order_id, REFUSED)
            if _is_current(payment, order):
                transition(
                    payment.order_id,
                    OrderStatus.ACTION_REQUIRED,
                    reason="The bank asks the customer to approve the payment",
                    now=now,
                    action_url=action_url,
                )
            transaction.on_commit(partial(_count, payment, "needs_action"))


def record_closed(payment: Payment, *, now: datetime) -> None:
    """The gateway will never charge it any more."""
    move_payment(payment, PaymentStatus.CANCELLED, now)
    Payment.objects.filter(pk=payment.pk, closed_at=None).update(closed_at=now)
    _end_doubt(payment.order_id)


def _end_doubt(order_id: int) -> None:
    """What a person was asked to find out is known."""
    resolved(order_id, UNKNOWN_TOO_LONG)
    resolved(order_id, UNKNOWN_TO_GATEWAY)


def move_payment(
    payment: Payment, to: PaymentStatus, settled_at: datetime | None, **changes: str | int
) -> bool:
    """The guarded UPDATE of a payment. False: another worker or a webhook has been here first."""
    return bool(
        Payment.objects.filter(pk=payment.pk, status__in=sources_of(to)).update(
            status=to,
            settled_at=settled_at,
            lease_token=None,
            lease_until=None,
            lease_owner="",
            **changes,
        )
    )


def _is_current(payment: Payment, order: Order) -> bool:
    """Whether this is the card that the order is to be paid with now. Its customer may have chosen
    another while the gateway was asked about this one, whose outcome then moves the payment alone;
    a success is another matter, for it pays the order whichever card it was."""
    return payment.round >= order.payment_round


def move_order(payment: Payment, to: OrderStatus, reason: str, *, now: datetime) -> None:
    if not transition(payment.order_id, to, reason=reason, now=now):
        logger.error(
            "A payment's outcome does not fit its order; a person must look",
            extra={"order": payment.order.number, "outcome": to.value},
        )


def prepare_refund(payment: Payment, amount_minor: int, why: str, *, now: datetime) -> None:
    """Nothing is sent back until a person agrees."""
    Refund.objects.create(
        payment=payment,
        status=RefundStatus.PREPARED,
        amount_minor=amount_minor,
        reason=why,
        created_at=now,
    )
    logger.error(
        "A refund is prepared; a person must look",
        extra={
            "order": payment.order.number,
            "payment": payment.gateway_payment_id,
            "reason": why,
        },
    )
    put_before_a_person(payment.order_id, why, now=now)


def _count(payment: Payment, outcome: str) -> None:
    metrics.OUTCOMES.labels(outcome).inc()
    metrics.ATTEMPTS.observe(payment.tries + 1)


def _count_paid(payment: Payment, order: Order, *, now: datetime) -> None:
    _count(payment, "surplus" if payment.is_surplus else "paid")
    if not payment.is_surplus:
        metrics.PAID_SECONDS.observe(max(0.0, (now - order.placed_at).total_seconds()))


def _record_surplus(payment: Payment, why: str, *, now: datetime) -> None:
    Payment.objects.filter(pk=payment.pk).update(is_surplus=True)
    payment.refresh_from_db()
    prepare_refund(payment, payment.taken_minor, why, now=now)


def _close_the_round_under_way(paid: Payment, others: Iterable[Payment], *, now: datetime) -> None:
    """An earlier card has paid: a later round that never reached the gateway is dropped."""
    for other in others:
        if other.round > paid.round and not other.gateway_payment_id:
            move_payment(other, PaymentStatus.CANCELLED, now)
