"""The payment methods the sandbox knows: Stripe's own test names, and those with a fault."""

from dataclasses import dataclass
from enum import Enum


class Fault(Enum):
    """What goes wrong when a payment with this method is confirmed."""

    NONE = "none"
    SLOW = "slow"  # approved, after a while
    CHARGED_WITHOUT_ANSWER = "charged_without_answer"
    CHARGED_WITH_ERROR = "charged_with_error"  # answered by a 500, which the key then keeps
    UNAVAILABLE_AT_FIRST = "unavailable_at_first"  # 429 twice, then approved


@dataclass(frozen=True)
class PaymentMethod:
    decline_code: str = ""  # empty: approved
    fault: Fault = Fault.NONE
    asks_customer: bool = False  # 3-D Secure, before anything is charged
    dispute: str = ""  # what its bank opens as soon as it is charged: a dispute or an inquiry


# Stripe docs, "Testing": pm_card_*.
PAYMENT_METHODS = {
    "pm_card_visa": PaymentMethod(),
    "pm_card_chargeDeclined": PaymentMethod(decline_code="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": PaymentMethod(decline_code="insufficient_funds"),
    "pm_card_authenticationRequired": PaymentMethod(asks_customer=True),
    "pm_card_createDispute": PaymentMethod(dispute="dispute"),
    "pm_card_createDisputeInquiry": PaymentMethod(dispute="inquiry"),
    "pm_sandbox_slow": PaymentMethod(fault=Fault.SLOW),
    "pm_sandbox_timeout_after_charge": PaymentMethod(fault=Fault.CHARGED_WITHOUT_ANSWER),
    "pm_sandbox_error_after_charge": PaymentMethod(fault=Fault.CHARGED_WITH_ERROR),
    "pm_sandbox_unavailable": PaymentMethod(fault=Fault.UNAVAILABLE_AT_FIRST),
}
