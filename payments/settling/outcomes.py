"""Recording what the gateway said: payment, order, event and follow-up in one transaction.

The worker's own calls, a webhook's hint, a customer's return and reconciliation all end here.
"""

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.db import transaction

from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import (
    CHARGED_TWICE,
    LAPSED,
    NOT_CAPTURED,
    OVERCHARGED,
    PART_CAME,
    PROMISED_TOO_LONG,
    REFUSED,
    UNKNOWN_TO_GATEWAY,
    UNKNOWN_TOO_LONG,
    WRONG_AMOUNT,
)
from checkout.orders.cancelling import CannotRevive, revive
from checkout.orders.history import note
from checkout.orders.identity.matching import could_name
from checkout.orders.invoices.issue import issue_invoice
from checkout.orders.limits.limits import count_decline
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import Mail, Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.sweep import put_off_look
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus
from checkout.orders.sweep_schedule import ASKS_ABOUT_PROMISES_EVERY
from checkout.orders.transitions import transition
from checkout.orders.ways_to_pay.web_side import web_side_of
from checkout.runtime import metrics
from payments.gateways.base import GatewayPayment, GatewayState
from payments.models import Payment, Refund
from payments.settling.lock_order import lock_order
from payments.settling.steps.before_call import Ended
from payments.settling.steps.first_charge import store_paid
from payments.states import LIVE, UNSETTLED_REFUNDS, PaymentStatus, RefundStatus, sources_of

logger = logging.getLogger(__name__)

SUCCEEDED = "Payment succeeded"

# The longest that a debit may take is two weeks of working days, and banks rest over holidays.
PROMISED_AT_MOST = timedelta(days=30)


def record_success(
    payment: Payment, answer: GatewayPayment, *, now: datetime, reason: str = SUCCEEDED
) -> bool:
    """The gateway charged. False if that was known, or if the charge does not pay the order."""
    if not is_about(payment, answer):
        return False
    fields = {"order": payment.order.number, "payment": payment.gateway_payment_id}
    if answer.currency != payment.currency or answer.amount_minor < payment.amount_minor:
        logger.log(
            _once_an_error(payment),
            "The gateway charged another amount than was asked; a person must look",
            extra=fields,
        )
        _record_wrong_amount(payment, answer, now=now)
        return False
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        if not move_payment(payment, PaymentStatus.PAID, now, charged_minor=answer.amount_minor):
            return False  # recorded before, by another worker or a webhook
        follow_charge(payment, order, answer.amount_minor, now=now, reason=reason)
    return True


def record_first_charge(
    payment: Payment, answer: GatewayPayment, ended: Ended | None, *, now: datetime
) -> bool:
    """The gateway charged, and nothing else is to be thought of: stored in one statement, with the
    end of the call that said so. False: nothing was stored, and `record_success` does it."""
    is_as_asked = (
        answer.state is GatewayState.PAID
        and (answer.amount_minor, answer.currency) == (payment.amount_minor, payment.currency)
        and not payment.captures_later
    )
    if not is_as_asked or not could_name(answer.order, payment.order):
        return False
    placed_at = store_paid(payment, ended, reason=SUCCEEDED, now=now)
    if placed_at is None:
        return False
    payment.status = PaymentStatus.PAID
    _count_paid(payment, placed_at, now=now)
    return True


def is_about(payment: Payment, answer: GatewayPayment) -> bool:
    """Whether the gateway names the payment's own order with it."""
    if could_name(answer.order, payment.order):
        return True
    logger.log(
        _once_an_error(payment),
        "The gateway names another order with this payment; a person must look",
        extra={"order": payment.order.number, "payment": payment.gateway_payment_id},
    )
    return False


def follow_charge(
    payment: Payment, order: Order, charged_minor: int, *, now: datetime, reason: str
) -> None:
    """What follows from the first charge of a payment, which the caller has moved to PAID under the
    lock of its order. It is the last thing that the caller's transaction does."""
    resolve_doubts(order, refusal_too=True, now=now)
    if order.needs_person:
        for reason_to_look in (PART_CAME, LAPSED, NOT_CAPTURED):
            end_reason(order.pk, reason_to_look, now=now)
    others = list(Payment.objects.filter(order=order).exclude(pk=payment.pk))
    if any(other.status == PaymentStatus.PAID and not other.is_surplus for other in others):
        _record_surplus(payment, CHARGED_TWICE, now=now)
    elif order.status == OrderStatus.CANCELLED:
        try:
            revive(order, reason=f"{reason}, after it was cancelled", now=now)
        except CannotRevive as cannot:
            _record_surplus(payment, cannot.reason, now=now)
    else:
        move_order(payment, OrderStatus.PAID, reason, now=now)
    _close_other_rounds(payment, others, now=now)
    transaction.on_commit(partial(_count_paid, payment, order.placed_at, now=now))
    over = max(0, charged_minor - payment.amount_minor)
    if over and not Payment.objects.filter(pk=payment.pk, is_surplus=True).exists():
        prepare_refund(payment, over, OVERCHARGED, now=now)
    if not payment.is_surplus:
        issue_invoice(order, now=now)  # last: others wait for its lock


def _once_an_error(payment: Payment) -> int:
    """The level of what a person must see once: the gateway is asked about such a payment again
    and again."""
    return logging.INFO if payment.tries else logging.ERROR


def record_refusal(payment: Payment, code: str, *, now: datetime) -> None:
    """The gateway will not make this payment, whoever's card it is. To the customer that is a
    decline, and they may pay otherwise; staff look at it, for the next card may be refused too."""
    with transaction.atomic(savepoint=False):
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
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        if move_payment(payment, status, now, decline_code=code[:60], charged_minor=None):
            resolve_doubts(order, refusal_too=by_bank, now=now)
            reason = f"Payment not made ({code}); nothing was charged"
            if is_current(payment, order):
                move_order(payment, OrderStatus.PAYMENT_FAILED, reason, now=now)
            else:
                note(payment.order_id, f"An earlier card: {reason}", now=now)
            transaction.on_commit(partial(count_outcome, payment, "declined"))
            if status is PaymentStatus.DECLINED and by_bank:
                transaction.on_commit(partial(count_decline, payment.order_id, now=now))


def record_needs_action(payment: Payment, answer: GatewayPayment, *, now: datetime) -> None:
    web = web_side_of(payment.order)
    changes: dict[str, Any] = {"action_url": answer.action_url}
    if answer.waits_until:
        changes["expires_at"] = answer.waits_until
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        if move_payment(payment, PaymentStatus.NEEDS_ACTION, None):
            resolve_doubts(order, refusal_too=True, now=now)
            if is_current(payment, order):
                changes |= _next_question(payment, web.asks_every, now=now)
                transition(
                    payment.order_id,
                    OrderStatus.ACTION_REQUIRED,
                    reason="The shop waits for the customer's money"
                    if web.customer_sends
                    else "The bank asks the customer to approve the payment",
                    now=now,
                    **changes,
                )
            transaction.on_commit(partial(count_outcome, payment, "needs_action"))


def record_promise(payment: Payment, *, now: datetime) -> None:
    """The bank has accepted, and the money comes in days. The order is kept as it is until then,
    and the gateway is asked once a day."""
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        if move_payment(payment, PaymentStatus.PROMISED, None):
            resolve_doubts(order, refusal_too=True, now=now)
            next_question = _next_question(payment, ASKS_ABOUT_PROMISES_EVERY, now=now)
            if order.status == OrderStatus.PROMISED:
                remind_of_promise(payment, now=now)
            elif is_current(payment, order):
                transition(
                    payment.order_id,
                    OrderStatus.PROMISED,
                    reason="The bank has accepted the payment, and sends the money within days",
                    now=now,
                    **next_question,
                )
                transaction.on_commit(partial(count_outcome, payment, "promised"))


def _next_question(
    payment: Payment, asks_every: timedelta | None, *, now: datetime
) -> dict[str, Any]:
    """Put off when the gateway is asked next about an order that may wait for days, and return that
    for a change of its status, which else sets the time itself. Nothing where news came meanwhile.

    `payment.order` is as it was read before the gateway was asked."""
    if asks_every and put_off_look(payment.order, until=now + asks_every):
        return {"sweep_at": now + asks_every}
    return {}


def remind_of_promise(payment: Payment, *, now: datetime) -> None:
    """No bank takes so long. A person asks at the gateway what became of the money."""
    if now - payment.created_at >= PROMISED_AT_MOST:
        put_before_a_person(payment.order_id, PROMISED_TOO_LONG, now=now)


def record_closed(payment: Payment, *, now: datetime) -> None:
    """The gateway will never charge this payment any more."""
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        move_payment(payment, PaymentStatus.CANCELLED, now)
        Payment.objects.filter(pk=payment.pk, closed_at=None).update(closed_at=now)
        # Nothing of it is charged, so there is no part that could be left out.
        releases = Refund.objects.filter(payment=payment, status__in=UNSETTLED_REFUNDS)
        releases.filter(is_release=True).update(
            status=RefundStatus.FAILED, failure="never_charged", settled_at=now
        )
        resolve_doubts(order, now=now)
        if order.needs_person:  # closed only when none of its money is here any more
            end_reason(order.pk, PART_CAME, now=now)


def record_sent_back(payment: Payment, *, now: datetime) -> None:
    """A charge of a wrong amount was sent back in full. The order can be paid otherwise."""
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        record_decline(payment, "sent_back", now=now, status=PaymentStatus.CANCELLED)
        Payment.objects.filter(pk=payment.pk).exclude(status=PaymentStatus.PAID).update(
            charged_minor=None
        )
        resolve_doubts(order, now=now)


def _record_wrong_amount(payment: Payment, answer: GatewayPayment, *, now: datetime) -> None:
    with transaction.atomic(savepoint=False):
        lock_order(payment)
        # Kept although the payment does not count as paid: while it is here, a person must look.
        unpaid = Payment.objects.filter(pk=payment.pk).exclude(status=PaymentStatus.PAID)
        if unpaid.update(charged_minor=answer.amount_minor):
            put_before_a_person(payment.order_id, WRONG_AMOUNT, now=now)


def resolve_doubts(order: Order, *, now: datetime, refusal_too: bool = False) -> None:
    """End the reasons to look that an outcome has settled; a bank's answer ends a refusal too."""
    if not order.needs_person:
        return
    if refusal_too:
        end_reason(order.pk, REFUSED, now=now)
    payments = Payment.objects.filter(order=order)
    if not payments.filter(status=PaymentStatus.UNKNOWN).exists():
        end_reason(order.pk, UNKNOWN_TOO_LONG, now=now)
        end_reason(order.pk, UNKNOWN_TO_GATEWAY, now=now)
    if not payments.filter(status=PaymentStatus.PROMISED).exists():
        end_reason(order.pk, PROMISED_TOO_LONG, now=now)
    wrong = payments.filter(charged_minor__isnull=False).exclude(status=PaymentStatus.PAID)
    if not wrong.exists():
        end_reason(order.pk, WRONG_AMOUNT, now=now)


def move_payment(
    payment: Payment,
    to: PaymentStatus,
    settled_at: datetime | None,
    **changes: str | int | datetime | None,
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


def is_current(payment: Payment, order: Order) -> bool:
    """Whether the order is to be paid with this card now. An earlier card's outcome moves its
    payment alone; only a success pays the order whichever card it was."""
    return payment.round >= order.payment_round


def move_order(payment: Payment, to: OrderStatus, reason: str, *, now: datetime) -> None:
    # A payment's outcome moves no order that is paid, however much of it was sent back since.
    if not transition(payment.order_id, to, sources=UNSETTLED | EXPIRING, reason=reason, now=now):
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
    event = note(payment.order_id, "Charged too much; its customer is told", now=now)
    queue_mail(Mail.Kind.SURPLUS, event, now=now)
    put_before_a_person(payment.order_id, why, now=now)


def count_outcome(payment: Payment, outcome: str) -> None:
    metrics.OUTCOMES.labels(outcome).inc()
    metrics.ATTEMPTS.observe(payment.tries + 1)


def _count_paid(payment: Payment, placed_at: datetime, *, now: datetime) -> None:
    count_outcome(payment, "surplus" if payment.is_surplus else "paid")
    if not payment.is_surplus:
        metrics.PAID_SECONDS.observe(max(0.0, (now - placed_at).total_seconds()))


def _record_surplus(payment: Payment, why: str, *, now: datetime) -> None:
    Payment.objects.filter(pk=payment.pk).update(is_surplus=True)
    payment.refresh_from_db()
    prepare_refund(payment, payment.taken_minor, why, now=now)


def _close_other_rounds(paid: Payment, others: Iterable[Payment], *, now: datetime) -> None:
    """One card has paid. A round that never reached the gateway is dropped. One that did could
    still be charged, at a bank's page that is open somewhere: the worker closes it there."""
    live = [other for other in others if other.status in LIVE]
    for other in live:
        if not other.gateway_payment_id and other.round > paid.round:
            move_payment(other, PaymentStatus.CANCELLED, now)
    if any(other.gateway_payment_id for other in live):
        ask(paid.order_id, OutboxMessage.Kind.CHECK_PAYMENT, at=now)
