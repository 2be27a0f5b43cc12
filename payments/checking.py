"""Holding an order against the gateway: a webhook, the customer's return or the sweep asks for it.

Whatever a hint said is not believed; the gateway is asked about every payment of the order by id.
"""

import logging
from uuid import UUID

from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import EXPIRING, UNSETTLED
from payments.calls import Calls, Clock
from payments.gateways.base import (
    Gateway,
    GatewayError,
    GatewayMisconfigured,
    GatewayState,
    NotExecuted,
    OutcomeUnknown,
)
from payments.later import ask_later, pause_after
from payments.models import Payment
from payments.outcomes import record_closed, record_success
from payments.refund_settlement import settle_refunds, take_over_refunds
from payments.settlement import Settled, close, find_order, settle_order
from payments.states import PaymentStatus

logger = logging.getLogger(__name__)

# A hint that could not be followed is followed again after minutes, not seconds.
TRIES = 8


def check_order(
    order_number: str, gateway: Gateway, *, clock: Clock, lease_token: UUID | None = None
) -> Settled:
    """Settle what is under way, and believe the gateway about what was thought to be final."""
    order = find_order(order_number)
    outcome = Settled.NOTHING_TO_DO
    if order.status in UNSETTLED:
        outcome = settle_order(order_number, gateway, clock=clock, lease_token=lease_token)
        if outcome is Settled.BUSY:
            return outcome
    calls = Calls.begin(gateway, clock)
    try:
        for payment in _thought_to_be_over(order):
            answer = calls.retrieve(payment)
            if answer.state is GatewayState.PAID:
                record_success(payment, answer, now=clock(), reason="Payment succeeded late")
                outcome = Settled.PAID
            elif answer.state is GatewayState.CANCELLED:
                record_closed(payment, now=clock())
        for payment in order.payments.filter(status=PaymentStatus.PAID):
            take_over_refunds(payment, calls)
    except (NotExecuted, OutcomeUnknown) as error:
        pause = pause_after(error, TRIES)
        ask_later(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, pause=pause, now=clock())
        return Settled.LATER
    except GatewayMisconfigured as error:
        return _refused(order, error)
    refunded = settle_refunds(order_number, gateway, clock=clock)
    return outcome if refunded is Settled.NOTHING_TO_DO else refunded


def cancel_order(order_number: str, gateway: Gateway, *, clock: Clock) -> Settled:
    """Cancel an unpaid order: at the gateway first. A payment that wins the race wins."""
    order = find_order(order_number)
    if order.status not in EXPIRING:  # paid, or being paid again
        return Settled.NOTHING_TO_DO
    calls = Calls.begin(gateway, clock)
    try:
        for payment in _not_closed(order):
            answer = close(calls, payment)
            if answer.state is GatewayState.PAID:
                record_success(payment, answer, now=clock(), reason="Paid at the last moment")
                return Settled.PAID
    except (NotExecuted, OutcomeUnknown):
        return Settled.LATER  # the expiry asks again within the hour
    except GatewayMisconfigured as error:
        return _refused(order, error)
    cancelled = cancel_unpaid(order, reason="Not paid in time", now=clock())
    return Settled.CANCELLED if cancelled else Settled.NOTHING_TO_DO


def _not_closed(order: Order) -> list[Payment]:
    payments = order.payments.exclude(gateway_payment_id="").filter(closed_at=None)
    return list(payments.exclude(status=PaymentStatus.PAID))


def _thought_to_be_over(order: Order) -> list[Payment]:
    over = [PaymentStatus.DECLINED, PaymentStatus.CANCELLED]
    return list(order.payments.filter(status__in=over).exclude(gateway_payment_id=""))


def _refused(order: Order, error: GatewayError) -> Settled:
    logger.error(
        "The gateway refuses to tell about a payment; a person must act",
        extra={"order": order.number, "reason": error.code},
    )
    return Settled.LATER
