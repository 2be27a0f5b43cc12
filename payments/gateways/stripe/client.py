"""Calls Stripe through its official SDK. A PaymentIntent is opened first, and confirmed by a second
call: Stripe docs, "Finalize payments on the server" and "Migrate to Confirmation Tokens".

No exception of the SDK leaves this module, as its text may quote what Stripe answered.
"""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Self, TypeVar

import stripe
from django.conf import settings
from stripe.params import (
    PaymentIntentCaptureParams,
    PaymentIntentConfirmParams,
    PaymentIntentCreateParams,
    PaymentIntentCreateParamsShipping,
    PaymentIntentRetrieveParams,
)

from checkout.catalogue.amounts import AmountLimits
from payments.gateways.base import (
    Abilities,
    DisputeState,
    GatewayDispute,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
    PaymentRefused,
    PaymentRequest,
    PostalAddress,
    RefundRefused,
    RefundState,
)
from payments.gateways.over_http import seconds_in, unreached, why_unreached
from payments.gateways.settings import given
from payments.gateways.stripe import amounts
from payments.gateways.stripe.amounts import InexactAmount, from_stripe, to_stripe
from payments.gateways.stripe.metadata import metadata_of, order_in
from payments.gateways.stripe.tokens import is_token

logger = logging.getLogger(__name__)

Theirs = TypeVar("Theirs", bound=stripe.StripeObject)
Told = TypeVar("Told")

# With telemetry the SDK writes a file into the home directory and tells Stripe about the host.
stripe.enable_telemetry = False

# The most of the time for a call that goes into reaching Stripe at all.
MAX_CONNECT_SECONDS = 5.0

# The most objects that Stripe gives at once. Stripe API reference, Pagination.
PAGE_SIZE = 100

# Stripe docs, "How PaymentIntents work". A status that is not here allows no conclusion yet.
STATES = {
    "requires_confirmation": GatewayState.OPEN,
    # We name a payment method when we open, or a token when we confirm, so that Stripe asks for
    # one only after refusing it; see `_state` for what was not confirmed yet.
    "requires_payment_method": GatewayState.DECLINED,
    "requires_action": GatewayState.NEEDS_ACTION,
    "requires_capture": GatewayState.AUTHORISED,
    "succeeded": GatewayState.PAID,
    "canceled": GatewayState.CANCELLED,
}

# Stripe docs, "Payment method support": those that tell only in days whether the money came.
DEBITS = frozenset(
    {
        "acss_debit",
        "au_becs_debit",
        "bacs_debit",
        "nz_bank_account",
        "sepa_debit",
        "us_bank_account",
    }
)

# Stripe API reference, The PaymentIntent object, next_action: by type of action the address has one
# of these names, and the end of a voucher one of those.
ACTION_URLS = ("url", "hosted_voucher_url", "hosted_instructions_url")
ACTION_ENDS = ("expires_after", "expires_at")

# Stripe API reference, Capture a PaymentIntent: "Uncaptured PaymentIntents are cancelled a set
# number of days (7 by default) after their creation." A card's charge tells the time itself.
SET_ASIDE_FOR = timedelta(days=7)

# A payment is read with its method, which tells a bank's promise from another state in between, and
# with its charge, which says until when an amount is set aside and whether it goes in parts.
WHOLE: PaymentIntentRetrieveParams = {"expand": ["payment_method", "latest_charge"]}

# Stripe API reference, "The Refund object". A refund of another status is on its way.
REFUND_STATES = {
    "succeeded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}

# Stripe API reference, "The Dispute object". A dispute of another status is being decided.
DISPUTE_STATES = {
    "warning_needs_response": DisputeState.INQUIRY,
    "warning_under_review": DisputeState.INQUIRY,
    "warning_closed": DisputeState.CLOSED,
    "prevented": DisputeState.CLOSED,
    "needs_response": DisputeState.NEEDS_RESPONSE,
    "won": DisputeState.WON,
    "lost": DisputeState.LOST,
}

# Stripe API reference, Errors: the request was refused for what it is, and before it had an effect.
DEFINITE_STATUSES = frozenset({400, 402, 404})

# Stripe API reference, Errors: "No valid API key provided", and one without the permission.
SHOP_REFUSED_STATUSES = frozenset({401, 403})

# Stripe docs, "Error codes": these are about the account or its key, with whatever status. Every
# request of the shop would be refused like this one.
SHOP_REFUSED_CODES = frozenset(
    {
        "account_closed",
        "account_invalid",
        "api_key_expired",
        "livemode_mismatch",
        "platform_account_required",
        "platform_api_key_expired",
        "secret_key_required",
        "testmode_charges_only",
        "tls_version_unsupported",
    }
)

# Stripe docs, "Error codes": the object is not in the state that the request supposed. Only that
# state says what became of the object.
SAYS_NOTHING_CODES = frozenset({"intent_invalid_state", "payment_intent_unexpected_state"})

# Stripe docs, "Error codes": why a refund is refused while the customer's bank has the money.
DISPUTED_CODES = frozenset({"charge_disputed", "refund_disputed_payment"})


class StripeGateway:
    """Threads may share one: the SDK keeps an HTTP session for each thread, and no other state."""

    abilities = Abilities(
        # Stripe API reference, "Idempotent requests": keys may be removed after 24 hours.
        remembers_keys_for=timedelta(hours=24),
        # Stripe docs, "Refund failures": a bank may return a refund after up to 30 days.
        refunds_return_within=timedelta(days=45),
        wants_customer=True,
        captures_later=True,
    )

    def __init__(
        self, *, secret_key: str, api_base: str = "", timeout_seconds: float = 20.0
    ) -> None:
        connect_seconds = min(MAX_CONNECT_SECONDS, timeout_seconds / 4)
        client = stripe.StripeClient(
            secret_key,
            base_addresses={"api": api_base.rstrip("/")} if api_base else {},
            max_network_retries=0,  # the worker decides about repetitions, and records each
            http_client=stripe.RequestsClient(
                timeout=(connect_seconds, timeout_seconds - connect_seconds)
            ),
        )
        self._intents = client.v1.payment_intents
        self._refunds = client.v1.refunds
        self._disputes = client.v1.disputes

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            secret_key=given("STRIPE_SECRET_KEY"),
            api_base=given("STRIPE_API_BASE"),
            timeout_seconds=settings.GATEWAY_TIMEOUT_SECONDS,
        )

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return amounts.limits(currency)

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        try:
            intent = self._intents.create(_opening(request), {"idempotency_key": idempotency_key})
        except stripe.StripeError as error:
            if _blames_payment_method(error):
                raise _logged(PaymentMethodRefused(_code(error)), error) from None
            raise _conclusion(error, PaymentRefused) from None
        return _payment(intent)

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        """Where Stripe refuses a token, a second call asks why: an earlier confirmation of this
        payment may have used it up."""
        params = _confirmation(request)
        try:
            intent = self._intents.confirm(payment_id, params, {"idempotency_key": idempotency_key})
        except stripe.InvalidRequestError as error:
            if error.param != "confirmation_token":
                return _payment_told_by(error, PaymentRefused)
            refusal = _logged(PaymentMethodRefused(_code(error)), error)
        except stripe.StripeError as error:
            return _payment_told_by(error, PaymentRefused)
        else:
            return _payment(intent)
        answer = self.retrieve(payment_id)
        if answer.state is GatewayState.OPEN:
            raise refusal
        return answer

    def retrieve(self, payment_id: str) -> GatewayPayment:
        try:
            intent = self._intents.retrieve(payment_id, WHOLE)
        except stripe.StripeError as error:
            raise _conclusion_about_payment(error) from None
        return _payment(intent)

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """Where Stripe does not cancel because the outcome is still being made, a second call asks
        how it is made: a bank's promise is told with the method."""
        try:
            intent = self._intents.cancel(payment_id, {}, {"idempotency_key": idempotency_key})
        except stripe.StripeError as error:
            answer = _payment_told_by(error)
            return self.retrieve(payment_id) if answer.state is GatewayState.PROCESSING else answer
        return _payment(intent)

    def capture(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        is_last: bool,
        idempotency_key: str,
    ) -> GatewayPayment:
        """Stripe docs, "Place a hold on a payment method" and "Capture a payment multiple times".
        Where Stripe does not capture, the payment that it tells says whether another call did."""
        params: PaymentIntentCaptureParams = {
            "amount_to_capture": _amount(amount_minor, currency, PaymentRefused),
            "expand": ["latest_charge"],
        }
        if not is_last:
            params["final_capture"] = False
        try:
            intent = self._intents.capture(payment_id, params, {"idempotency_key": idempotency_key})
        except stripe.StripeError as error:
            answer = _payment_told_by(error, PaymentRefused)
            if answer.state is GatewayState.AUTHORISED:
                raise _logged(PaymentRefused(_code(error)), error) from None
            return answer
        return _payment(intent)

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        try:
            refund = self._refunds.create(
                {
                    "payment_intent": payment_id,
                    "amount": _amount(amount_minor, currency, RefundRefused),
                    "metadata": {"refund_key": refund_key},
                },
                {"idempotency_key": idempotency_key},
            )
        except stripe.StripeError as error:
            raise _conclusion(error, RefundRefused) from None
        return _refund(refund)

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        return list(_each(self._refunds.list, {"payment_intent": payment_id}, _refund))

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        return _each(self._refunds.list, _made_since(since), _refund)

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return list(_each(self._disputes.list, {"payment_intent": payment_id}, _dispute))

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return _each(self._disputes.list, _made_since(since), _dispute)

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        wanted = _made_since(since) | {"expand": ["data.payment_method", "data.latest_charge"]}
        return _each(self._intents.list, wanted, _payment)


make = StripeGateway.from_settings


def _opening(request: PaymentRequest) -> PaymentIntentCreateParams:
    """A token may be of any way to pay that is switched on in Stripe's dashboard. Stripe takes it
    with the confirmation alone, so that `confirm` names it. A PaymentMethod is of a card."""
    params: PaymentIntentCreateParams = {
        "amount": _amount(request.amount_minor, request.currency, PaymentRefused),
        "currency": request.currency.lower(),
        "capture_method": "automatic",
        "metadata": metadata_of(request.order),
    }
    if request.captures_later:
        # Only a card's amount is set aside. Other ways to pay take all of it as ever.
        params["payment_method_options"] = {
            "card": {"capture_method": "manual", "request_multicapture": "if_available"}
        }
    if request.delivery:
        params["shipping"] = _shipping(request.delivery)
    if is_token(request.payment_method):
        params["automatic_payment_methods"] = {"enabled": True}
    else:
        params["payment_method"] = request.payment_method
        params["allowed_payment_method_types"] = ["card"]
    return params


def _shipping(to: PostalAddress) -> PaymentIntentCreateParamsShipping:
    """Stripe API reference, Create a PaymentIntent, shipping: what Radar and Klarna look at."""
    shipping: PaymentIntentCreateParamsShipping = {
        "name": to.full_name,
        "address": {
            "line1": to.address,
            "line2": to.address2,
            "city": to.city,
            "state": to.region,
            "postal_code": to.postcode,
            "country": to.country,
        },
    }
    if to.phone:
        shipping["phone"] = to.phone
    return shipping


def _confirmation(request: PaymentRequest) -> PaymentIntentConfirmParams:
    params: PaymentIntentConfirmParams = {}
    if request.return_url:
        params["return_url"] = request.return_url
    if is_token(request.payment_method):
        params["confirmation_token"] = request.payment_method
        # Otherwise Stripe expects our page to run its script when the customer must act, and
        # tells no address (Stripe API reference, The ConfirmationToken object).
        params["use_stripe_sdk"] = False
        params["expand"] = ["payment_method"]
    if request.captures_later:
        params["expand"] = [*params.get("expand", []), "latest_charge"]
    return params


def _each(
    list_page: Callable[[Any], stripe.ListObject[Theirs]],
    which: dict[str, Any],
    told: Callable[[Theirs], Told],
) -> Iterator[Told]:
    try:
        for theirs in list_page(which | {"limit": PAGE_SIZE}).auto_paging_iter():
            yield told(theirs)
    except stripe.StripeError as error:
        raise _conclusion_about_payment(error) from None


def _made_since(since: datetime) -> dict[str, Any]:
    # Stripe's times are whole seconds; rounding down leaves nothing out.
    return {"created": {"gte": int(since.timestamp())}}


def _amount(amount_minor: int, currency: str, refusal: type[GatewayError]) -> int:
    try:
        return to_stripe(amount_minor, currency)
    except InexactAmount:
        raise refusal("amount_not_exact") from None


def _amount_minor(amount: int, currency: str) -> int:
    try:
        return from_stripe(amount, currency)
    except InexactAmount:
        raise OutcomeUnknown("amount_not_exact") from None


def _payment(intent: stripe.PaymentIntent) -> GatewayPayment:
    state = _state(intent)
    amount = intent.amount_received if state is GatewayState.PAID else intent.amount
    currency = intent.currency.upper()
    return GatewayPayment(
        id=intent.id,
        state=state,
        amount_minor=_amount_minor(amount, currency),
        currency=currency,
        order=order_in(lambda name: getattr(intent.metadata, name, "")),
        decline_code=_decline_code(intent) if state is GatewayState.DECLINED else "",
        action_url=_action_url(intent) if state is GatewayState.NEEDS_ACTION else "",
        waits_until=_waits_until(intent) if state is GatewayState.NEEDS_ACTION else None,
        opened_at=datetime.fromtimestamp(intent.created, tz=UTC),
        **_set_aside(intent, currency) if state is GatewayState.AUTHORISED else {},
    )


def _set_aside(intent: stripe.PaymentIntent, currency: str) -> dict[str, Any]:
    """What was charged of an amount that is set aside, and what a card's charge tells of the rest.
    Stripe API reference, The Charge object, payment_method_details.card."""
    charge = getattr(intent, "latest_charge", None)
    details = None if charge is None or isinstance(charge, str) else charge.payment_method_details
    card = getattr(details, "card", None)
    before = getattr(card, "capture_before", None)
    end = datetime.fromtimestamp(before or intent.created, UTC)
    return {
        "captured_minor": _amount_minor(intent.amount_received, currency),
        "authorised_until": end if before else end + SET_ASIDE_FOR,
        "captures_parts": getattr(getattr(card, "multicapture", None), "status", "") == "available",
    }


def _state(intent: stripe.PaymentIntent) -> GatewayState:
    if intent.status == "canceled" and intent.amount_received:
        return GatewayState.PAID  # a part was captured, and the rest given up
    if intent.status == "processing" and _method_type(intent) in DEBITS:
        return GatewayState.PROMISED
    # One that was opened for a token has no method before it is confirmed.
    waits_for_token = (
        intent.status == "requires_payment_method"
        and getattr(intent, "automatic_payment_methods", None) is not None
        and intent.last_payment_error is None
    )
    if waits_for_token:
        return GatewayState.OPEN
    return STATES.get(intent.status, GatewayState.PROCESSING)


def _method_type(intent: stripe.PaymentIntent) -> str:
    """Empty where Stripe was not asked for it, as by an event or an error."""
    method = intent.payment_method
    return "" if method is None or isinstance(method, str) else method.type


def _payment_id(of: stripe.Refund | stripe.Dispute) -> str:
    payment = of.payment_intent
    return payment if isinstance(payment, str) else getattr(payment, "id", "")


def _dispute(dispute: stripe.Dispute) -> GatewayDispute:
    currency = dispute.currency.upper()
    due_by = dispute.evidence_details.due_by
    return GatewayDispute(
        id=dispute.id,
        state=DISPUTE_STATES.get(dispute.status, DisputeState.UNDER_REVIEW),
        payment_id=_payment_id(dispute),
        amount_minor=_amount_minor(dispute.amount, currency),
        currency=currency,
        reason=dispute.reason,
        opened_at=datetime.fromtimestamp(dispute.created, UTC),
        due_at=datetime.fromtimestamp(due_by, UTC) if due_by else None,
    )


def _refund(refund: stripe.Refund) -> GatewayRefund:
    currency = refund.currency.upper()
    return GatewayRefund(
        id=refund.id,
        state=REFUND_STATES.get(refund.status or "", RefundState.PENDING),
        payment_id=_payment_id(refund),
        amount_minor=_amount_minor(refund.amount, currency),
        currency=currency,
        refund_key=getattr(refund.metadata, "refund_key", ""),
    )


def _decline_code(intent: stripe.PaymentIntent) -> str:
    error = intent.last_payment_error
    if error is None:
        return "payment_method_missing"
    code: str | None = getattr(error, "decline_code", None) or getattr(error, "code", None)
    return code or "unspecified"


def _in_action(intent: stripe.PaymentIntent, names: Iterable[str]) -> Any:
    """The first of these that is set in what the customer must do. Stripe API reference, The
    PaymentIntent object, next_action: it stands there under the name of its type."""
    action = getattr(intent.next_action, getattr(intent.next_action, "type", ""), None)
    return next(filter(None, (getattr(action, name, None) for name in names)), None)


def _action_url(intent: stripe.PaymentIntent) -> str:
    """A page to approve the payment on, or one that shows a voucher to pay in a shop."""
    return _in_action(intent, ACTION_URLS) or ""


def _waits_until(intent: stripe.PaymentIntent) -> datetime | None:
    end = _in_action(intent, ACTION_ENDS)
    return datetime.fromtimestamp(end, UTC) if isinstance(end, int) else None


def _payment_told_by(
    error: stripe.StripeError, refusal: type[GatewayError] = OutcomeUnknown
) -> GatewayPayment:
    """Stripe refuses to charge or cancel a payment that is declined or final, and says which.

    Stripe docs, "Error codes": `card_declined` and `payment_intent_unexpected_state`; both carry
    the PaymentIntent (Stripe API reference, Errors).
    """
    says_state = isinstance(error, stripe.CardError) or (
        _code(error) == "payment_intent_unexpected_state"
    )
    if says_state and error.error is not None and error.error.payment_intent is not None:
        return _payment(error.error.payment_intent)
    raise _conclusion_about_payment(error, refusal) from None


def _blames_payment_method(error: stripe.StripeError) -> bool:
    """Whatever Stripe dislikes about the method, it is the shopper's and not our mistake."""
    return isinstance(error, stripe.CardError) or (
        isinstance(error, stripe.InvalidRequestError) and error.param == "payment_method"
    )


def _conclusion_about_payment(
    error: stripe.StripeError, refusal: type[GatewayError] = OutcomeUnknown
) -> GatewayError:
    """The same as `_conclusion`, for a request that names a payment."""
    is_missing = _code(error) == "resource_missing" and not _blames_payment_method(error)
    return _conclusion(error, NoSuchPayment if is_missing else refusal)


def _conclusion(
    error: stripe.StripeError, refusal: type[GatewayError] = OutcomeUnknown
) -> GatewayError:
    """`refusal` is the error for a request that was refused for what it asked. Where none is named,
    such a refusal says nothing about the money."""
    return _logged(_concluded(error, refusal), error)


def _concluded(error: stripe.StripeError, refusal: type[GatewayError]) -> GatewayError:
    code, status = _code(error), error.http_status
    if isinstance(error, stripe.APIConnectionError):
        return unreached(error.__cause__)  # the SDK chains what `requests` raised
    if isinstance(error, stripe.RateLimitError) or status == 429:
        return NotExecuted(
            code,
            retry_after_seconds=seconds_in((error.headers or {}).get("Retry-After", "")),
            is_under_way=code == "lock_timeout",  # Stripe docs, "Error codes"
        )
    if status == 409:
        # The key or the object is in use by another call, which is not this one.
        return NotExecuted(code, is_under_way=True)
    if isinstance(error, stripe.AuthenticationError) or status in SHOP_REFUSED_STATUSES:
        return GatewayMisconfigured(code)
    if code in SHOP_REFUSED_CODES:
        return GatewayMisconfigured(code)
    # The SDK takes every 402 for a card error. A decline was read from its payment before.
    is_of_the_card = error.error is not None and error.error.type == "card_error"
    is_definite = status in DEFINITE_STATUSES and not is_of_the_card
    if is_definite and refusal is RefundRefused:
        return RefundRefused(code, is_disputed=code in DISPUTED_CODES)
    if is_definite and code not in SAYS_NOTHING_CODES:
        return refusal(code)
    return OutcomeUnknown(code)


def _code(error: stripe.StripeError) -> str:
    if isinstance(error, stripe.APIConnectionError):
        return why_unreached(error.__cause__)
    if error.error is not None:
        code = error.error.code or error.error.type or ""
        # Somebody in between may answer in Stripe's place, and put a sentence there.
        if code.isidentifier():
            return code
    return f"http_{error.http_status}"


def _logged(conclusion: GatewayError, error: stripe.StripeError) -> GatewayError:
    """Logs the request id, by which an operator finds the call in Stripe's dashboard."""
    logger.info(  # settling says what becomes of it, with the order
        "Stripe gave no outcome.",
        extra={
            "conclusion": type(conclusion).__name__,
            "code": conclusion.code,
            "http_status": error.http_status,
            "stripe_request": error.request_id,
        },
    )
    return conclusion
