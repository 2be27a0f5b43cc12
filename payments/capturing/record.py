"""Recording what the gateway says of an amount that the customer's bank keeps for the shop.

Each outcome is one transaction under the order's lock, and is written down once, whoever finds it
out first.
"""

import logging
from datetime import datetime
from functools import partial

from django.db import transaction
from django.db.models import F, Sum

from checkout.catalogue.money import money, show_money
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import AUTHORISATION_ENDS, LAPSED, NOT_CAPTURED
from checkout.orders.history import note
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import EXPIRING, TO_SEND, UNSETTLED, OrderStatus
from checkout.orders.sweep_schedule import next_look_at_authorisation, next_sweep
from checkout.orders.transitions import transition
from checkout.runtime import metrics
from payments.gateways.base import GatewayPayment, GatewayState
from payments.models import Capture, Payment
from payments.settling.lock_order import lock_order
from payments.settling.outcomes import (
    SUCCEEDED,
    count_outcome,
    follow_charge,
    is_about,
    is_current,
    move_payment,
    record_closed,
    record_success,
    resolve_doubts,
)
from payments.settling.refunds import release_rest
from payments.states import CaptureStatus, PaymentStatus

logger = logging.getLogger(__name__)

# Why a parcel is not charged whose payment was closed at the gateway without this shop.
CLOSED_THERE = "closed_at_the_gateway"


def record_authorised(payment: Payment, answer: GatewayPayment, *, now: datetime) -> None:
    """The bank keeps the amount for the shop. An order that is paid or cancelled by now, or that is
    paid with another card, does not need it: the worker gives such a payment up."""
    if not is_about(payment, answer):
        return
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        if order.status not in UNSETTLED | EXPIRING or not is_current(payment, order):
            return
        if not move_payment(payment, PaymentStatus.AUTHORISED, None):
            return  # recorded before, by another worker or a webhook
        resolve_doubts(order, refusal_too=True, now=now)
        until = answer.authorised_until or now
        transition(
            order.pk,
            OrderStatus.AUTHORISED,
            reason="The bank has set the money aside; it is charged when the order is sent",
            now=now,
            authorised_until=until,
            goes_in_one_parcel=not answer.captures_parts,
            sweep_at=next_look_at_authorisation(until, now),
        )
        transaction.on_commit(partial(count_outcome, payment, "authorised"))


def record_charge(
    payment: Payment, answer: GatewayPayment, *, now: datetime, reason: str = SUCCEEDED
) -> bool:
    """The gateway charged, all at once or parcel by parcel. False if that was known, or if the
    charge does not pay the order."""
    if payment.captures_later and answer.currency == payment.currency:
        return record_captured(payment, answer, now=now, reason=reason)
    return record_success(payment, answer, now=now, reason=reason)


def record_captured(
    payment: Payment, answer: GatewayPayment, *, now: datetime, reason: str = "Charged when sent"
) -> bool:
    """The gateway has charged so much of what the bank keeps, over all parcels. False if that was
    known. Once it is PAID there, nothing more is charged."""
    if not is_about(payment, answer):
        return False
    with transaction.atomic(savepoint=False):
        order = lock_order(payment)
        payment = Payment.objects.select_for_update(of=["self"]).get(pk=payment.pk)
        payment.order = order
        charged, is_over = answer.charged_minor, answer.state is GatewayState.PAID
        _settle_captures(payment, charged, is_over=is_over, now=now)
        is_news = charged > payment.taken_minor
        is_first = payment.status != PaymentStatus.PAID
        if is_news:
            # What staff captured at the gateway's own site counts too.
            payment.capture_minor = min(payment.amount_minor, max(payment.capture_minor, charged))
            Payment.objects.filter(pk=payment.pk).update(capture_minor=payment.capture_minor)
            if not is_first:
                Payment.objects.filter(pk=payment.pk).update(charged_minor=charged)
                more = show_money(money(charged - payment.taken_minor, payment.currency))
                note(order.pk, f"{more} more was charged", now=now)
                end_reason(order.pk, NOT_CAPTURED, now=now)
        if is_first and charged:
            move_payment(payment, PaymentStatus.PAID, now, charged_minor=charged)
            payment.refresh_from_db()
            follow_charge(payment, order, charged, now=now, reason=reason)
        _watch_over_rest(payment, order, is_over=is_over, now=now)
    return is_news


def _settle_captures(payment: Payment, charged: int, *, is_over: bool, now: datetime) -> None:
    """Which parcels were charged, by the sum that the gateway tells: they are charged in turn."""
    total = 0
    for capture in payment.captures.exclude(status=CaptureStatus.FAILED).order_by("id"):
        total += capture.amount_minor
        if capture.status == CaptureStatus.CAPTURED:
            continue
        if total <= charged:
            payment.captures.filter(pk=capture.pk).update(
                status=CaptureStatus.CAPTURED, settled_at=now
            )
            metrics.OUTCOMES.labels("captured").inc()
        elif is_over:
            _fail(capture, payment, CLOSED_THERE, now=now)


def record_not_captured(capture: Capture, code: str, *, now: datetime) -> None:
    """The gateway will not charge this parcel, which is on its way. A person sees to it."""
    with transaction.atomic():
        lock_order(capture.payment)
        _fail(capture, capture.payment, code, now=now)


def _fail(capture: Capture, payment: Payment, code: str, *, now: datetime) -> None:
    failed = Capture.objects.filter(pk=capture.pk, status=CaptureStatus.REQUESTED).update(
        status=CaptureStatus.FAILED, failure=code[:80], settled_at=now
    )
    if not failed:
        return
    Payment.objects.filter(pk=payment.pk).update(
        capture_minor=F("capture_minor") - capture.amount_minor
    )
    payment.refresh_from_db(fields=["capture_minor"])
    logger.error(
        "What was sent could not be charged; a person must look",
        extra={"order": payment.order.number, "reason": code},
    )
    amount = show_money(capture.amount)
    note(payment.order_id, f"{amount} for a parcel was not charged ({code})", now=now)
    put_before_a_person(payment.order_id, NOT_CAPTURED, now=now)


def _watch_over_rest(payment: Payment, order: Order, *, is_over: bool, now: datetime) -> None:
    """What is set aside still is looked at again. Once nothing is, what was never sent of the order
    counts as given back to its customer."""
    payment.refresh_from_db()
    if not is_over:
        Order.objects.filter(pk=order.pk, authorised_until__isnull=False).update(
            sweep_at=next_sweep(now)
        )
        return
    Order.objects.filter(pk=order.pk).update(authorised_until=None, goes_in_one_parcel=False)
    end_reason(order.pk, AUTHORISATION_ENDS, now=now)
    if payment.status != PaymentStatus.PAID:
        return
    if order.is_cancelled_and_paid:  # charged at the gateway's own site: that goes back
        Order.objects.filter(pk=order.pk).update(sweep_at=next_sweep(now))
        ask(order.pk, OutboxMessage.Kind.CANCEL_ORDER, at=now)
    if order.dispatch_status in TO_SEND and payment.rest_minor:
        put_before_a_person(order.pk, LAPSED, now=now)
    elif payment.rest_minor and _charged_by_us_minor(payment) == payment.taken_minor:
        release_rest(payment, now=now)
    elif payment.rest_minor:
        put_before_a_person(order.pk, LAPSED, now=now)


def _charged_by_us_minor(payment: Payment) -> int:
    captured = payment.captures.filter(status=CaptureStatus.CAPTURED)
    total: int = captured.aggregate(total=Sum("amount_minor"))["total"] or 0
    return total


def record_lapsed(payment: Payment, *, now: datetime) -> None:
    """The bank keeps the amount no longer. Where nothing of it was charged, the customer is asked
    to pay otherwise. A person is told."""
    with transaction.atomic():
        order = lock_order(payment)
        if not move_payment(payment, PaymentStatus.EXPIRED, now, decline_code="lapsed"):
            _watch_over_rest(payment, order, is_over=True, now=now)  # a part of it was charged
            return
        for capture in payment.captures.filter(status=CaptureStatus.REQUESTED):
            _fail(capture, payment, "lapsed", now=now)
        record_closed(payment, now=now)
        if order.is_cancelled_and_paid:
            return  # what its customer or staff wanted: it is being cancelled
        moved = transition(
            order.pk,
            OrderStatus.PAYMENT_FAILED,
            sources=[OrderStatus.AUTHORISED],
            reason="The bank keeps the money no longer; nothing was charged",
            now=now,
        )
        if moved:
            end_reason(order.pk, AUTHORISATION_ENDS, now=now)
            put_before_a_person(order.pk, LAPSED, now=now)


def remind_of_end(order: Order, *, now: datetime) -> None:
    """Tell a person a day before the bank keeps the money no longer."""
    if order.dispatch_status in TO_SEND:
        put_before_a_person(order.pk, AUTHORISATION_ENDS, now=now)
