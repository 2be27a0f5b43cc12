"""What the worker asks of a payment gateway, and the answers it understands.

A shop with another provider writes one package with a class that has these methods, and names it in
`PAYMENT_GATEWAYS`. Nothing else of the product knows which gateway it talks to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity


class GatewayState(Enum):
    """How a payment stands at the gateway, in the gateway's own words."""

    OPEN = "open"  # known to the gateway, not confirmed: no money has moved
    PROCESSING = "processing"  # confirmed, the outcome is still being made
    NEEDS_ACTION = "needs_action"  # the customer must act first (3-D Secure)
    PROMISED = "promised"  # the bank has accepted, and says in days whether the money came
    AUTHORISED = "authorised"  # set aside for the shop, which has yet to say how much is charged
    PAID = "paid"
    DECLINED = "declined"  # final for this payment method
    CANCELLED = "cancelled"  # can never be charged any more
    EXPIRED = "expired"  # the same, since nobody paid in time


@dataclass(frozen=True, kw_only=True)
class PostalAddress:
    full_name: str
    address: str
    city: str
    country: str  # ISO 3166-1, upper case
    company: str = ""
    address2: str = ""
    postcode: str = ""
    region: str = ""
    phone: str = ""


class LineKind(Enum):
    GOODS = "goods"
    DELIVERY = "delivery"
    DISCOUNT = "discount"
    TAX = "tax"  # where prices are without it


@dataclass(frozen=True, kw_only=True)
class PaymentLine:
    """A part of what is paid. All lines of a request add up to its amount."""

    kind: LineKind
    name: str
    quantity: int
    each_minor: int  # below zero for a discount, as is the total
    total_minor: int
    sku: str = ""


@dataclass(frozen=True, kw_only=True)
class PaymentRequest:
    """What a gateway is told of a payment when it is opened. It is the same in every repetition:
    all of it is stored with the payment, or never changes with its order."""

    order: OrderIdentity
    amount_minor: int
    currency: str  # ISO 4217, upper case
    payment_method: str  # what the gateway's part of the form gave; empty where it needs nothing
    return_url: str = ""  # where a customer who must act comes back to
    language: str = ""  # of the customer, as in "de"; empty: the shop's own
    # Who buys, and what, as far as the gateway's abilities say that it wants to know.
    email: str = ""
    delivery: PostalAddress | None = None
    billing: PostalAddress | None = None  # the one for delivery, where the customer gave no other
    lines: tuple[PaymentLine, ...] = ()
    # The amount is only set aside, where the way to pay allows that, and charged by `capture`.
    # `open` and `confirm` are told the same; after a customer has acted, `retrieve` tells it.
    captures_later: bool = False


@dataclass(frozen=True, kw_only=True)
class GatewayPayment:
    """One payment as the gateway tells it, in the shop's minor unit and not in the gateway's."""

    id: str  # no other gateway has a payment of this id; one that counts puts its name before it
    state: GatewayState
    # What is asked for or set aside; once PAID, what was charged in all.
    amount_minor: int
    currency: str  # ISO 4217, upper case
    order: OrderIdentity  # as it was given to `open`; what it was not given is empty
    decline_code: str = ""  # the gateway's word for why; set when DECLINED
    action_url: str = ""  # where the customer must go, if anywhere; set when NEEDS_ACTION
    # Until when the gateway waits for the customer. None: for as long as the shop does.
    waits_until: datetime | None = None
    # What was charged so far of an amount that is set aside, in all; until when the bank keeps the
    # rest, which is never None then; and whether it can be charged in parts. Set when AUTHORISED.
    captured_minor: int = 0
    authorised_until: datetime | None = None
    captures_parts: bool = False
    opened_at: datetime | None = None  # None where the gateway does not tell it

    @property
    def charged_minor(self) -> int:
        return self.amount_minor if self.state is GatewayState.PAID else self.captured_minor


class RefundState(Enum):
    PENDING = "pending"  # accepted, the money is on its way back
    SUCCEEDED = "succeeded"
    FAILED = "failed"  # final: the money did not go back


@dataclass(frozen=True, kw_only=True)
class GatewayRefund:
    """Money on its way back, as the gateway tells it."""

    id: str
    state: RefundState
    payment_id: str
    amount_minor: int
    currency: str  # ISO 4217, upper case
    refund_key: str  # the caller's own name for it, as it was given to `refund`


class DisputeState(Enum):
    """What became of a customer's objection at their bank."""

    INQUIRY = "inquiry"  # the bank only asks; no money was taken, and a refund answers it
    NEEDS_RESPONSE = "needs_response"  # the money was taken; the shop may send evidence
    UNDER_REVIEW = "under_review"  # evidence was sent
    WON = "won"  # final: the money is the shop's
    LOST = "lost"  # final: the money is the customer's
    CLOSED = "closed"  # final: the inquiry ended, and no money was taken


@dataclass(frozen=True, kw_only=True)
class GatewayDispute:
    """A charge that the customer's bank disputes, as the gateway tells it."""

    id: str
    state: DisputeState
    payment_id: str
    amount_minor: int
    currency: str  # ISO 4217, upper case
    reason: str  # the gateway's word for it
    opened_at: datetime
    due_at: datetime | None  # until when evidence is taken


class GatewayError(Exception):
    """The gateway gave no outcome. The subclass says what may be concluded."""

    def __init__(self, code: str = "") -> None:
        super().__init__(code or type(self).__name__)
        self.code = code  # the gateway's short word for it; never a message with personal data


class NotExecuted(GatewayError):
    """The gateway certainly did nothing (refused connection, 429, key in use). Try again later, or
    very soon where `is_under_way`: the same call, of a process that died, is being worked on."""

    def __init__(
        self,
        code: str = "",
        *,
        retry_after_seconds: float | None = None,
        is_under_way: bool = False,
    ) -> None:
        super().__init__(code)
        self.retry_after_seconds = retry_after_seconds
        self.is_under_way = is_under_way


class OutcomeUnknown(GatewayError):
    """Nobody knows whether the gateway acted (timeout, reset, 5xx). Only asking by id may tell."""


class PaymentRefused(GatewayError):
    """The gateway will never make this payment as it was asked for. Definitive for it alone."""


class PaymentMethodRefused(PaymentRefused):
    """The gateway will not open, or not confirm, a payment with this method. Definitive for the
    method: its customer chooses another, and no person has to look."""


class NoSuchPayment(PaymentRefused):
    """The gateway has no payment of this id: it was opened in another account or mode. Whether it
    was charged there is known only where it was certainly never confirmed.

    A gateway that finds payments by a name of ours has none before the charge either. Its adapter
    keeps the account with that name, and raises this where the account is another one now."""


class RefundRefused(GatewayError):
    """The gateway will not send this money back (more than is left, for one). Definitive.
    `is_disputed` where it is because the customer's bank has the money meanwhile."""

    def __init__(self, code: str = "", *, is_disputed: bool = False) -> None:
        super().__init__(code)
        self.is_disputed = is_disputed


class GatewayMisconfigured(GatewayError):
    """The gateway refuses the shop, whatever is asked (wrong key, closed account). A person must
    act; until then nobody can pay."""


@dataclass(frozen=True, kw_only=True)
class Abilities:
    """What a gateway can; docs/architecture.md has a table of what follows from each."""

    # For so long after a call a repetition under its key is the same call.
    remembers_keys_for: timedelta
    # For so long after it succeeded a refund may still come back from the customer's bank.
    refunds_return_within: timedelta = timedelta(days=45)
    # Whether `list_since` and its like tell everything. Otherwise they are not asked, and only what
    # is stored here is compared.
    lists: bool = True
    # Whether what `cancel` has answered with CANCELLED can be relied on, and an open payment is
    # always cancelled. Otherwise the customer may pay again although the first payment could still
    # succeed: a second charge is a surplus, which is sent back.
    cancels: bool = True
    # Whether it is told who buys, and what is bought. Companies that lend customers the price ask
    # for both, and fraud checks for the first.
    wants_customer: bool = False
    wants_lines: bool = False
    # Whether some of its ways to pay can set an amount aside, which is charged when it is sent. Of
    # the others the whole amount is charged at once, whatever the request says.
    captures_later: bool = False


class Gateway(Protocol):
    """Every method makes one call, takes at most `GATEWAY_TIMEOUT_SECONDS`, and never retries.

    `idempotency_key` is stored by the caller before the call and is the same on every repetition.
    A decline is an answer (`GatewayState.DECLINED`), not an error. Amounts are in the shop's minor
    unit on both sides of every method: the adapter converts them exactly, or refuses.
    """

    @property
    def abilities(self) -> Abilities: ...

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        """What can be charged in this currency; None when nothing can. It needs no call: web
        processes ask the gateway's web side, which gives the same answer."""

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        """Make the payment known without moving money: its id is not stored yet, and money that
        moved now would belong to nothing. The gateway keeps and tells the order."""

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        """Charge an opened payment. `request` is what `open` was told."""

    def retrieve(self, payment_id: str) -> GatewayPayment:
        """Ask how a payment stands."""

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """Make sure that a payment can never be charged. Answers PAID when it already was, PROMISED
        when the bank has accepted and nobody can take that back, and CANCELLED also for one that is
        over there for another reason, such as a final decline. What is set aside and not charged is
        given up; a payment of which a part was charged is PAID then, with that amount."""

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        """Send part or all of a charge back, in its currency; of what is set aside only what was
        charged. The gateway keeps `refund_key` with the refund, so that `refunds_of` finds the
        refund when the answer was lost."""

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        """All refunds of a payment, newest first."""

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        """Every payment opened at or after `since`, newest first."""

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        """Every refund made at or after `since`, newest first."""

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        """All disputes of a payment, newest first; none for a gateway that knows no disputes."""

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        """Every dispute opened at or after `since`, newest first."""


class CapturingGateway(Gateway, Protocol):
    """A gateway whose abilities say `captures_later`."""

    def capture(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        is_last: bool,
        idempotency_key: str,
    ) -> GatewayPayment:
        """Charge so much of what is set aside: above 0, a multiple of the step, and maybe less than
        the smallest amount. After the last one the payment is PAID with all that was charged, and
        the bank keeps nothing any more. Where nothing can be charged in parts the one call is the
        last.

        Only an AUTHORISED payment is charged. Any other is answered as it stands, whoever ended it:
        one of which the bank kept nothing any longer is CANCELLED or EXPIRED, or PAID where a part
        was charged before, and `retrieve` tells it so as well. Raises PaymentRefused where the
        payment stays AUTHORISED and this call charges nothing, now or later. After any doubt the
        shop asks `retrieve`, whose sum must be true at once, before it repeats a call."""
