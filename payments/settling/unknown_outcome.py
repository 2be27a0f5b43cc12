"""Whether money may have moved by a call whose outcome nobody knows."""

from datetime import datetime

from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import UNKNOWN_TO_GATEWAY
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
from payments.settling.outcomes import move_payment
from payments.states import LIVE, PaymentStatus

# A confirmation that ended like this charged nothing, and never will.
CHARGED_NOTHING = [
    *(GatewayState.DECLINED.value, GatewayState.CANCELLED.value, GatewayState.EXPIRED.value),
    *(NotExecuted.__name__, GatewayMisconfigured.__name__),
    *(PaymentRefused.__name__, PaymentMethodRefused.__name__, NoSuchPayment.__name__),
]


def may_have_been_charged(payment: Payment) -> bool:
    """Whether a confirmation may have charged this payment, which has no outcome yet."""
    if not Payment.objects.filter(pk=payment.pk, status__in=LIVE).exists():
        return False
    confirmed = payment.attempts.filter(step=PaymentAttempt.Step.CONFIRM)
    return confirmed.exclude(outcome__in=CHARGED_NOTHING).exists()


def must_be_uncharged(payment: Payment, error: NoSuchPayment, *, now: datetime) -> None:
    """The gateway has no such payment, as after a change of its account. Where the payment was
    confirmed before, the other account may have charged it: a person has to look there."""
    if may_have_been_charged(payment):
        put_before_a_person(payment.order_id, UNKNOWN_TO_GATEWAY, now=now)
        # Staff can say what became of a payment of unknown outcome.
        move_payment(payment, PaymentStatus.UNKNOWN, None)
        raise OutcomeUnknown(error.code) from None


def may_have_been_sent(refund: Refund) -> bool:
    sent = PaymentAttempt.objects.filter(idempotency_key=refund.key, payment=refund.payment_id)
    return sent.filter(outcome__in=["", OutcomeUnknown.__name__]).exists()
