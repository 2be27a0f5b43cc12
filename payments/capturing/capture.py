"""Charging what was sent of an order whose price the customer's bank keeps for the shop.

For each parcel, the oldest first:

1. Under the order's lock, store how much is charged for it, with the key of the call. The sum of
   all charges and of what is given up is at most what the bank keeps: a CHECK constraint says so.
2. Charge it. After any doubt, ask by the payment's id first: the parcels are charged in turn, so
   the sum that the gateway tells says which of them were.
3. Store the outcome, the order's new status and its event in one transaction.

When nothing more is to be sent, the bank is told to keep nothing any longer.
"""

from datetime import datetime
from enum import Enum

from django.db import transaction
from django.db.models import F

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.sweep import put_off_look
from checkout.orders.states import TO_SEND
from checkout.orders.sweep_schedule import TOLD_BEFORE, next_look_at_authorisation
from checkout.runtime.faultpoints import fault_points
from payments.capturing.parcels import due_parcel
from payments.capturing.record import (
    record_captured,
    record_lapsed,
    record_not_captured,
    remind_of_end,
)
from payments.gateways.base import (
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NotExecuted,
    OutcomeUnknown,
    PaymentRefused,
)
from payments.gateways.load import Gateways
from payments.models import Capture, Payment
from payments.settling.gateway_calls import Calls, Clock
from payments.settling.lock_order import lock_order
from payments.settling.refunds import settle_refunds
from payments.settling.result import Result, order_by_number
from payments.settling.retry import pause_after
from payments.states import CAPTURABLE, CaptureStatus, PaymentStatus

# The bank keeps nothing of a payment any more that is told as one of these.
KEPT_NO_LONGER = {GatewayState.CANCELLED, GatewayState.EXPIRED}


def settle_captures(
    order_number: str, gateways: Gateways, *, clock: Clock, asks: bool = False
) -> Result:
    """Charge what was sent and is not charged yet, then send back what was asked for. With `asks`
    the gateway is asked how the payment stands even where nothing is to be charged."""
    order = order_by_number(order_number)
    payment = payment_to_capture(order)
    if payment is None:
        return settle_refunds(order_number, gateways, clock=clock)
    calls = Calls.begin(gateways, clock)
    capture: Capture | Rest = Rest.WAITS
    try:
        while isinstance(capture := _next_capture(payment, now=clock()), Capture):
            _charge(capture, calls)
        outcome = _look_at_rest(order, payment, calls, capture, asks=asks)
    except (NotExecuted, OutcomeUnknown, GatewayMisconfigured) as error:
        tries = capture.tries if isinstance(capture, Capture) else 0
        pause = pause_after(error, tries, gateway=payment.gateway, now=clock())
        ask(order.pk, OutboxMessage.Kind.CAPTURE, at=clock() + pause)
        return Result.LATER
    refunded = settle_refunds(order_number, gateways, clock=clock)
    return outcome if refunded is Result.NOTHING_TO_DO else refunded


def payment_to_capture(order: Order) -> Payment | None:
    """The payment of whose amount the bank still keeps something."""
    if order.authorised_until is None:
        return None
    kept = order.payments.filter(captures_later=True, status__in=CAPTURABLE)
    payment = kept.order_by("-round").first()
    if payment is not None:
        payment.order = order  # every call and log line tells its number
    return payment


class Rest(Enum):
    """What becomes of what is set aside, where nothing is to be charged now."""

    WAITS = "waits"  # something of the order is still to be sent
    IS_FREE = "is free"  # all that will ever be sent is charged
    IS_GONE = "is gone"  # the payment was given up, or is kept no longer


def _next_capture(payment: Payment, *, now: datetime) -> Capture | Rest:
    """The charge that is under way, or the next one: two workers that come at once find one row.

    That nothing more is to be charged is decided under the lock as well: a parcel may leave at any
    moment after it, and its money must not be given up before it is charged."""
    with transaction.atomic():
        order = lock_order(payment)
        payment = Payment.objects.select_for_update(of=["self"]).get(pk=payment.pk)
        if payment.status not in CAPTURABLE:
            return Rest.IS_GONE
        begun = payment.captures.filter(status=CaptureStatus.REQUESTED).order_by("id").first()
        if begun is None:
            due = due_parcel(payment, order)
            if due is None:
                is_free = payment.status == PaymentStatus.PAID
                is_free = is_free and order.dispatch_status not in TO_SEND
                return Rest.IS_FREE if is_free else Rest.WAITS
            Payment.objects.filter(pk=payment.pk).update(
                capture_minor=F("capture_minor") + due.amount_minor
            )
            begun = Capture.objects.create(
                payment=payment,
                shipment=due.shipment,
                amount_minor=due.amount_minor,
                is_last=due.is_last,
                created_at=now,
            )
    payment.order = order
    begun.payment = payment
    return begun


def _charge(capture: Capture, calls: Calls) -> None:
    """Charge one parcel, or find out what became of it."""
    payment = capture.payment
    wanted_minor = payment.taken_minor + capture.amount_minor
    answer = calls.retrieve(payment) if capture.tries else None
    # Counted before the call: whoever comes after a crash asks first.
    Capture.objects.filter(pk=capture.pk).update(tries=F("tries") + 1)
    capture.tries += 1
    if answer is None or _is_uncharged(answer, wanted_minor):
        try:
            with fault_points("capture sent"):
                answer = calls.capture(capture)
        except PaymentRefused as error:
            record_not_captured(capture, error.code or "refused", now=calls.clock())
            return
    with fault_points("capture recorded"):
        if answer.state in KEPT_NO_LONGER:
            record_lapsed(payment, now=calls.clock())
            return
        record_captured(payment, answer, now=calls.clock())
    if _is_uncharged(answer, wanted_minor):
        raise OutcomeUnknown("captured_less")


def _is_uncharged(answer: GatewayPayment, wanted_minor: int) -> bool:
    return answer.state is GatewayState.AUTHORISED and answer.captured_minor < wanted_minor


def _look_at_rest(
    as_read: Order, payment: Payment, calls: Calls, rest: Rest, *, asks: bool
) -> Result:
    """Give up what is not needed any more, tell a person in time of what soon cannot be charged,
    and note what cannot. The order as it was read before is looked at later, unless a parcel left
    meanwhile."""
    payment.refresh_from_db()
    order = payment.order
    order.refresh_from_db()
    if order.authorised_until is None:
        return Result.PAID
    is_charged = payment.status == PaymentStatus.PAID
    if rest is Rest.IS_FREE:
        record_captured(payment, calls.cancel(payment), now=calls.clock())
        return Result.PAID
    ends_soon = calls.clock() >= order.authorised_until - TOLD_BEFORE
    if asks or ends_soon:
        answer = calls.retrieve(payment)
        if answer.state in KEPT_NO_LONGER:
            record_lapsed(payment, now=calls.clock())
            return Result.DECLINED
        record_captured(payment, answer, now=calls.clock())
        if answer.state is GatewayState.AUTHORISED and ends_soon:
            remind_of_end(order, now=calls.clock())
    put_off_look(as_read, until=next_look_at_authorisation(order.authorised_until, calls.clock()))
    return Result.PAID if is_charged else Result.AUTHORISED
