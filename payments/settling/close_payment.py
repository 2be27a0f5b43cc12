"""Cancelling a payment at the gateway, so that its card can never be charged any more."""

from checkout.orders.states import EXPIRING
from checkout.runtime.faultpoints import fault_points
from payments.gateways.base import GatewayPayment, GatewayState, NoSuchPayment, OutcomeUnknown
from payments.models import Payment
from payments.settling.gateway_calls import Calls
from payments.settling.outcomes import record_closed, record_promise
from payments.settling.unknown_outcome import must_be_uncharged


def close_payment(calls: Calls, payment: Payment) -> GatewayPayment:
    """Cancel the payment at the gateway. The answer is PAID if it was charged before, and PROMISED
    where the bank has accepted meanwhile what the order waits for. A gateway that does not always
    cancel may answer otherwise; its payment may still succeed, as a surplus."""
    try:
        with fault_points("cancel sent"):
            answer = calls.cancel(payment)
    except NoSuchPayment as error:
        must_be_uncharged(payment, error, now=calls.clock())
        record_closed(payment, now=calls.clock())
        return told_as(payment, GatewayState.CANCELLED)
    if answer.state is GatewayState.CANCELLED:
        record_closed(payment, now=calls.clock())
    elif answer.state is GatewayState.PROMISED and _is_waited_for(payment):
        record_promise(payment, now=calls.clock())
    elif answer.state is not GatewayState.PAID and calls.gateways.of(payment).abilities.cancels:
        raise OutcomeUnknown(f"cancel_answered_{answer.state.value}")
    return answer


def _is_waited_for(payment: Payment) -> bool:
    order = payment.order
    return order.status in EXPIRING and payment.round == order.payment_round


def told_as(payment: Payment, state: GatewayState) -> GatewayPayment:
    """The payment as the gateway would tell it in this state."""
    return GatewayPayment(
        id=payment.gateway_payment_id,
        state=state,
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        order=payment.identity,
    )
