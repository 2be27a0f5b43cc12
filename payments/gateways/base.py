"""What the worker asks of a payment gateway, and the answers it understands.

A shop with another provider writes one module with a class that has these methods, and names its
dotted path in `PAYMENT_GATEWAY`. Nothing else of the product knows which gateway it talks to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Protocol


class GatewayState(Enum):
    """Where a payment stands at the gateway, by the gateway's own word."""

    OPEN = "open"  # known to the gateway, not confirmed: no money has moved
    PROCESSING = "processing"  # confirmed, the outcome is still being made
    NEEDS_ACTION = "needs_action"  # the customer must act first (3-D Secure)
    PAID = "paid"
    DECLINED = "declined"  # final for this payment method
    CANCELLED = "cancelled"  # can never be charged any more


@dataclass(frozen=True, kw_only=True)
class GatewayPayment:
    """One payment as the gateway tells it. `amount_minor` is what was, or would be, charged."""

    id: str
    state: GatewayState
    amount_minor: int
    currency: str  # ISO 4217, upper case
    order_number: str
    decline_code: str = ""  # the gateway's word for why; set when DECLINED
    action_url: str = ""  # where the customer must go; set when NEEDS_ACTION


class GatewayError(Exception):
    """The gateway gave no outcome. The subclass says what may be concluded from that."""

    def __init__(self, code: str = "") -> None:
        super().__init__(code or type(self).__name__)
        self.code = code  # the gateway's short word for it; never a message with personal data


class NotExecuted(GatewayError):
    """The gateway certainly did nothing (refused connection, 429, key in use). Try again later."""

    def __init__(self, code: str = "", *, retry_after_seconds: float | None = None) -> None:
        super().__init__(code)
        self.retry_after_seconds = retry_after_seconds


class OutcomeUnknown(GatewayError):
    """Nobody knows whether the gateway acted (timeout, reset, 5xx). Only asking by id may tell."""


class PaymentMethodRefused(GatewayError):
    """The gateway will not even open a payment with this method. Definitive: nothing was opened."""


class GatewayMisconfigured(GatewayError):
    """The gateway refuses us, not the customer (wrong key, bad request). A person must act."""


class Gateway(Protocol):
    """Every method makes one call, takes at most `GATEWAY_TIMEOUT_SECONDS`, and never retries.

    `idempotency_key` is stored by the caller before the call and is the same on every repetition.
    A decline is an answer (`GatewayState.DECLINED`), not an error.
    """

    def open(
        self,
        *,
        order_number: str,
        amount_minor: int,
        currency: str,
        payment_method: str,
        idempotency_key: str,
    ) -> GatewayPayment:
        """Make the payment known without moving money."""

    def confirm(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """Charge an opened payment."""

    def retrieve(self, payment_id: str) -> GatewayPayment:
        """Ask how a payment stands."""

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """Make sure a payment can never be charged; answers PAID when it already was."""

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        """Every payment opened at or after `since`, newest first."""
