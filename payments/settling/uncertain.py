"""Whether money may have moved by a call whose outcome nobody knows."""

from payments.gateways.base import (
    GatewayMisconfigured,
    GatewayState,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
    PaymentRefused,
)
from payments.models import Payment, PaymentAttempt, Refund
from payments.states import LIVE

# A confirmation that ended like this charged nothing, and never will.
CHARGED_NOTHING = [
    *(GatewayState.DECLINED.value, GatewayState.CANCELLED.value),
    *(NotExecuted.__name__, GatewayMisconfigured.__name__),
    *(PaymentRefused.__name__, PaymentMethodRefused.__name__, NoSuchPayment.__name__),
]


def may_have_been_charged(payment: Payment) -> bool:
    """A payment that has an outcome has it by the gateway's word, or by a person's."""
    if not Payment.objects.filter(pk=payment.pk, status__in=LIVE).exists():
        return False
    confirmed = payment.attempts.filter(step=PaymentAttempt.Step.CONFIRM)
    return confirmed.exclude(outcome__in=CHARGED_NOTHING).exists()


def may_have_been_sent(refund: Refund) -> bool:
    sent = PaymentAttempt.objects.filter(idempotency_key=refund.key, payment=refund.payment_id)
    return sent.filter(outcome__in=["", OutcomeUnknown.__name__]).exists()
