"""Comparing one order with the gateway, when a webhook, the customer's return or the sweep asks.

What a hint says is not believed: the gateway is asked about every payment of the order by id.
"""

import logging
from contextlib import suppress
from datetime import datetime
from uuid import UUID

from django.db.models import Q

from checkout.orders.attention.flags import end_reason
from checkout.orders.attention.reasons import AUTHORISATION_ENDS, LAPSED, REFUSED
from checkout.orders.cancelling import cancel_authorised, cancel_unpaid
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus
from payments.capturing.capture import settle_captures
from payments.capturing.record import record_charge
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    RefundState,
)
from payments.gateways.load import Gateways
from payments.models import Payment
from payments.settling.close_payment import close_payment
from payments.settling.disputed_money import is_disputed
from payments.settling.disputes import may_have_news, record_disputes
from payments.settling.gateway_calls import Calls, Clock
from payments.settling.outcomes import record_closed, record_sent_back
from payments.settling.refunds import disputes_were_recorded, settle_refunds, take_over_refunds
from payments.settling.result import Result, order_by_number
from payments.settling.retry import asked_in_vain, pause_after
from payments.settling.settle_order import settle_order
from payments.states import LIVE, PaymentStatus

logger = logging.getLogger(__name__)

# Where the gateway gave no answer, it is asked again after a minute, and then after longer pauses.
FIRST_TRIES = 6


def check_order(
    order_number: str, gateways: Gateways, *, clock: Clock, lease_token: UUID | None = None
) -> Result:
    """Settle what is under way, and believe the gateway about what was thought to be final."""
    order = order_by_number(order_number)
    outcome = Result.NOTHING_TO_DO
    if order.status in UNSETTLED:
        outcome = settle_order(order_number, gateways, clock=clock, lease_token=lease_token)
        if outcome is Result.BUSY:
            return outcome
        order = order_by_number(order_number)
    calls = Calls.begin(gateways, clock)
    try:
        if _check_closed_payments(order, calls):
            outcome = Result.PAID
        _check_charged_payments(order, calls)
    except (NotExecuted, OutcomeUnknown, GatewayMisconfigured) as error:
        return _try_again(order, OutboxMessage.Kind.CHECK_PAYMENT, error, now=clock())
    settle = settle_captures if order.authorised_until else settle_refunds
    refunded = settle(order_number, gateways, clock=clock)
    return outcome if refunded is Result.NOTHING_TO_DO else refunded


def _check_closed_payments(order: Order, calls: Calls) -> bool:
    """Ask about payments that are over for this shop. True if one was charged after all."""
    is_charged = False
    for payment in _thought_to_be_over(order):
        try:
            answer = calls.retrieve(payment)
        except NoSuchPayment:
            continue  # opened in another account of the gateway, where it was over
        is_open = payment.status in LIVE or answer.state is GatewayState.AUTHORISED
        if answer.state is not GatewayState.PAID and is_open:
            answer = close_payment(calls, payment)  # or its card could be charged beside another
        if answer.state is GatewayState.PAID:
            _record_late_success(payment, answer, calls)
            is_charged = True
        elif answer.state in {GatewayState.CANCELLED, GatewayState.EXPIRED}:
            record_closed(payment, now=calls.clock())
    return is_charged


def _check_charged_payments(order: Order, calls: Calls) -> None:
    """Ask about refunds and disputes, whose outcome the gateway may have changed."""
    has_news = may_have_news(order)
    for payment in _charged(order):
        with suppress(NoSuchPayment):  # charged in another account of the gateway
            if has_news:
                record_disputes(payment, calls)
                disputes_were_recorded(payment, now=calls.clock())
            if payment.status == PaymentStatus.PAID:
                take_over_refunds(payment, calls)


def cancel_order(order_number: str, gateways: Gateways, *, clock: Clock) -> Result:
    """Cancel an unpaid order: at the gateway first. A payment that wins the race wins. Of an order
    that was cancelled after it was paid, the money is sent back."""
    order = order_by_number(order_number)
    is_set_aside = order.status == OrderStatus.AUTHORISED and order.is_cancelled_and_paid
    if order.is_cancelled_and_paid and not is_set_aside:
        settle = settle_captures if order.authorised_until else settle_refunds
        return settle(order_number, gateways, clock=clock)
    if order.status not in EXPIRING and not is_set_aside:  # paid, or being paid again
        return Result.NOTHING_TO_DO
    if is_disputed(order.pk):  # a charge that pays no order, and a bank that decides about it
        return Result.NOTHING_TO_DO
    calls = Calls.begin(gateways, clock)
    try:
        for payment in _not_closed(order):
            answer = close_payment(calls, payment)
            if answer.state is GatewayState.PAID:
                record_charge(payment, answer, now=clock(), reason="Paid at the last moment")
                return Result.PAID
            if answer.state is GatewayState.PROMISED:
                return Result.PROMISED
    except (NotExecuted, OutcomeUnknown, GatewayMisconfigured) as error:
        return _try_again(order, OutboxMessage.Kind.CANCEL_ORDER, error, now=clock())
    cancelled = (cancel_authorised if is_set_aside else cancel_unpaid)(order, now=clock())
    if cancelled:
        for reason in (REFUSED, LAPSED, AUTHORISATION_ENDS):
            end_reason(order.pk, reason)
    return Result.CANCELLED if cancelled else Result.NOTHING_TO_DO


def _not_closed(order: Order) -> list[Payment]:
    payments = order.payments.exclude(gateway_payment_id="").filter(closed_at=None)
    return list(payments.exclude(status=PaymentStatus.PAID))


def _thought_to_be_over(order: Order) -> list[Payment]:
    """Payments from which this shop expects nothing any more; the gateway may know better."""
    over = Q(status__in=[PaymentStatus.DECLINED, PaymentStatus.CANCELLED, PaymentStatus.EXPIRED])
    over |= Q(charged_minor__isnull=False) & ~Q(status=PaymentStatus.PAID)
    if order.status not in UNSETTLED | EXPIRING:
        over |= Q(status__in=LIVE)
    return list(order.payments.filter(over).exclude(gateway_payment_id=""))


def _charged(order: Order) -> list[Payment]:
    """Charges of an amount that pays no order count too: a bank may dispute them as well."""
    charged = Q(status=PaymentStatus.PAID) | Q(charged_minor__isnull=False)
    return list(order.payments.filter(charged).exclude(gateway_payment_id=""))


def _record_late_success(payment: Payment, answer: GatewayPayment, calls: Calls) -> None:
    if record_charge(payment, answer, now=calls.clock(), reason="Payment succeeded late"):
        return
    payment.refresh_from_db()
    if payment.status != PaymentStatus.PAID and _is_sent_back(payment, answer, calls):
        record_sent_back(payment, now=calls.clock())


def _is_sent_back(payment: Payment, answer: GatewayPayment, calls: Calls) -> bool:
    refunds = calls.refunds_of(payment)
    sent = sum(refund.amount_minor for refund in refunds if refund.state is RefundState.SUCCEEDED)
    return sent >= answer.amount_minor


def _try_again(
    order: Order, kind: OutboxMessage.Kind, error: GatewayError, *, now: datetime
) -> Result:
    """The gateway is asked again until it has answered."""
    tries = max(FIRST_TRIES, asked_in_vain(order))
    pause = pause_after(error, tries, gateway=_latest_gateway(order), now=now)
    ask(order.pk, kind, at=now + pause)
    return Result.LATER


def _latest_gateway(order: Order) -> str:
    latest = order.payments.order_by("-round").values_list("gateway", flat=True)
    return latest.first() or ""
