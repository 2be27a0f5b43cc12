"""The payment methods the sandbox knows: Stripe's own test names, and those with a fault.

A confirmation token is of one of them: `ctoken_7f3a_card_visa` is of `pm_card_visa`. What stands in
the middle makes it another token than that of the next customer.
"""

import re
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
    asks_customer: bool = False  # before anything is charged: 3-D Secure, or a page of another's
    dispute: str = ""  # what its bank opens as soon as it is charged: a dispute or an inquiry
    type: str = "card"
    is_debit: bool = False  # its bank says in days whether the money came
    captures_parts: bool = True  # what its bank has set aside can be charged in parts
    capture_decline_code: str = ""  # why nothing that is set aside is charged; empty: it is


# Stripe docs, "Testing": pm_card_*.
PAYMENT_METHODS = {
    "pm_card_visa": PaymentMethod(),
    "pm_card_chargeDeclined": PaymentMethod(decline_code="generic_decline"),
    "pm_card_chargeDeclinedInsufficientFunds": PaymentMethod(decline_code="insufficient_funds"),
    "pm_card_authenticationRequired": PaymentMethod(asks_customer=True),
    "pm_card_createDispute": PaymentMethod(dispute="dispute"),
    "pm_card_createDisputeInquiry": PaymentMethod(dispute="inquiry"),
    "pm_ideal": PaymentMethod(type="ideal", asks_customer=True),
    "pm_paypal": PaymentMethod(type="paypal", asks_customer=True),
    "pm_klarna": PaymentMethod(type="klarna", asks_customer=True),
    "pm_sepaDebit": PaymentMethod(type="sepa_debit", is_debit=True),
    "pm_sandbox_one_capture": PaymentMethod(captures_parts=False),
    "pm_sandbox_capture_declined": PaymentMethod(capture_decline_code="generic_decline"),
    "pm_sandbox_slow": PaymentMethod(fault=Fault.SLOW),
    "pm_sandbox_timeout_after_charge": PaymentMethod(fault=Fault.CHARGED_WITHOUT_ANSWER),
    "pm_sandbox_error_after_charge": PaymentMethod(fault=Fault.CHARGED_WITH_ERROR),
    "pm_sandbox_unavailable": PaymentMethod(fault=Fault.UNAVAILABLE_AT_FIRST),
}

TOKEN = re.compile(r"ctoken_[A-Za-z0-9]+_(?P<method>[A-Za-z0-9_]+)")


def method_of_token(token: str) -> str | None:
    """The name of the method; None for what is no token."""
    found = TOKEN.fullmatch(token)
    name = f"pm_{found['method']}" if found else ""
    return name if name in PAYMENT_METHODS else None
