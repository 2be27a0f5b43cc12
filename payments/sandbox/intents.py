"""The life of a PaymentIntent, as pure functions: nothing here reads a clock or keeps anything.

Stripe docs, "How PaymentIntents work". Handled: requires_payment_method, requires_confirmation,
requires_action, processing, requires_capture, succeeded and canceled.
"""

from collections.abc import Collection
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from payments.sandbox.currencies import refuse_amount, refuse_unknown_currency
from payments.sandbox.methods import PAYMENT_METHODS, method_of_token
from payments.sandbox.replies import (
    Answer,
    Json,
    error_answer,
    refusal,
    refuse_unknown_parameters,
    unknown_object,
    whole_number,
)

# Stored by Stripe; the sandbox reads the first, and forgets whose address the second is.
KEPT_ELSEWHERE = ("metadata[", "shipping[")

AUTOMATIC = "automatic_payment_methods[enabled]"

# Stripe docs, "Place a hold on a payment method" and "Capture a payment multiple times".
MANUAL = "payment_method_options[card][capture_method]"
MULTICAPTURE = "payment_method_options[card][request_multicapture]"

CANCELABLE = (
    *("requires_payment_method", "requires_confirmation", "requires_action"),
    "requires_capture",
)

# Stripe API reference, Capture a PaymentIntent: "a set number of days (7 by default)".
SET_ASIDE_FOR = timedelta(days=7)


@dataclass(frozen=True, kw_only=True)
class Intent:
    """A PaymentIntent, whose fields have Stripe's own names."""

    id: str
    object: str = "payment_intent"
    amount: int
    amount_received: int = 0
    currency: str
    status: str
    metadata: dict[str, str] = field(default_factory=dict)
    payment_method: str | None = None
    client_secret: str
    created: int
    last_payment_error: dict[str, Any] | None = None
    next_action: dict[str, Any] | None = None
    latest_charge: str | None = None
    livemode: bool = False
    canceled_at: int | None = None
    capture_method: str = "automatic"
    automatic_payment_methods: dict[str, bool] | None = None
    payment_method_options: dict[str, dict[str, str]] | None = None
    amount_capturable: int = 0
    capture_before: int | None = None  # Stripe tells it with the charge
    confirmation_token: str | None = None  # the last one; Stripe tells it with the token alone
    # Stripe keeps it to itself once the customer has answered.
    return_url: str = ""

    def as_json(self) -> Json:
        told = asdict(self)
        del told["return_url"], told["confirmation_token"], told["capture_before"]
        return told

    def expanded(self, wanted: Collection[str]) -> Json:
        """With method and charge in place of their ids, where those are wanted. Stripe API
        reference, "Expanding responses"."""
        told = self.as_json()
        method = self.payment_method
        if "payment_method" in wanted and method is not None:
            kind = PAYMENT_METHODS[method].type
            told["payment_method"] = {"id": method, "object": "payment_method", "type": kind}
        if "latest_charge" in wanted and self.latest_charge is not None:
            told["latest_charge"] = self._charge()
        return told

    def _charge(self) -> Json:
        """Stripe API reference, The Charge object, payment_method_details."""
        charge: Json = {
            "id": self.latest_charge,
            "object": "charge",
            "payment_method_details": None,
        }
        method = PAYMENT_METHODS.get(self.payment_method or "")
        if method is not None and self.capture_before is not None:
            parts = "available" if method.captures_parts else "unavailable"
            card = {"capture_before": self.capture_before, "multicapture": {"status": parts}}
            charge["payment_method_details"] = {"type": "card", "card": card}
        return charge


@dataclass(frozen=True, kw_only=True)
class Step:
    """What a request did to an intent. `kind` is for the ledger; empty if nothing changed."""

    kind: str
    intent: Intent
    answer: Answer


def open_intent(
    params: dict[str, str], *, intent_id: str, client_secret: str, now: datetime
) -> Step:
    _refuse_unknown_parameters(params)
    method = params.get("payment_method")
    if method is not None and method not in PAYMENT_METHODS:
        raise unknown_object("PaymentMethod", method, status=400, param="payment_method")
    if method is not None:
        _refuse_type(method, is_automatic=AUTOMATIC in params)
    amount = whole_number(_required(params, "amount"), "amount", least=1)
    currency = _required(params, "currency").lower()
    refuse_unknown_currency(currency)
    refuse_amount(amount, currency)
    intent = Intent(
        id=intent_id,
        amount=amount,
        currency=currency,
        status="requires_confirmation" if method else "requires_payment_method",
        metadata=metadata_of(params),
        payment_method=method,
        automatic_payment_methods={"enabled": True} if AUTOMATIC in params else None,
        payment_method_options={"card": {"capture_method": "manual"}} if MANUAL in params else None,
        client_secret=client_secret,
        created=int(now.timestamp()),
    )
    return Step(kind="opened", intent=intent, answer=_told(intent))


def confirm(
    intent: Intent,
    *,
    charge_id: str,
    bank_url: str,
    return_url: str,
    by_script: bool = False,
    now: datetime,
) -> Step:
    """Charge the intent, or have the customer asked: on a page, or by Stripe's script in ours. An
    intent that has succeeded never comes here again, so there is no second charge."""
    if intent.status != "requires_confirmation" or intent.payment_method is None:
        return _unexpected_state(intent, "confirm")
    if intent.automatic_payment_methods and not return_url:
        message = "Some of the payment methods of this PaymentIntent redirect the customer."
        raise refusal("parameter_missing", message, param="return_url")
    method = PAYMENT_METHODS[intent.payment_method]
    if method.is_debit:
        return _debit(intent, charge_id=charge_id)
    if method.asks_customer:
        asking = _ask_customer(intent, bank_url=bank_url, return_url=return_url)
        return _ask_by_script(asking.intent) if by_script else asking
    if method.decline_code:
        return _decline(intent, charge_id=charge_id, decline_code=method.decline_code)
    return _charge_or_set_aside(intent, charge_id=charge_id, now=now)


def authenticate(intent: Intent, *, approved: bool, charge_id: str, now: datetime) -> Step:
    """Take the customer's answer at their bank. Stripe docs, "3D Secure authentication flow"."""
    if approved:
        answered = replace(intent, next_action=None)
        return _charge_or_set_aside(answered, charge_id=charge_id, now=now)
    error = {
        "type": "card_error",
        "code": "payment_intent_authentication_failure",
        "message": "The customer refused the payment at their bank.",
    }
    refused = replace(
        intent,
        status="requires_payment_method",
        payment_method=None,
        next_action=None,
        last_payment_error=error,
    )
    return Step(kind="refused_by_customer", intent=refused, answer=_told(refused))


def with_token(intent: Intent, token: str) -> Intent:
    """The intent with the method of the token. Stripe API reference, Confirm a PaymentIntent."""
    if intent.status not in {"requires_payment_method", "requires_confirmation"}:
        return intent
    method = method_of_token(token)
    if method is None:
        raise unknown_object("ConfirmationToken", token, status=400, param="confirmation_token")
    _refuse_type(method, is_automatic=intent.automatic_payment_methods is not None)
    return replace(
        intent,
        status="requires_confirmation",
        payment_method=method,
        confirmation_token=token,
        last_payment_error=None,
    )


def end_debit(intent: Intent, *, money_came: bool) -> Step:
    """Take the bank's answer, days later. Stripe docs, "SEPA Direct Debit payments"."""
    if intent.status != "processing" or intent.latest_charge is None:
        return _unexpected_state(intent, "end the debit of")
    if money_came:
        return _charge(intent, charge_id=intent.latest_charge)
    error = {
        "type": "card_error",
        "code": "payment_intent_payment_attempt_failed",
        "decline_code": "insufficient_funds",
        "message": "The bank did not send the money.",
    }
    failed = replace(
        intent, status="requires_payment_method", payment_method=None, last_payment_error=error
    )
    return Step(kind="debit_failed", intent=failed, answer=_told(failed))


def cancel(intent: Intent, *, now: datetime) -> Step:
    if intent.status not in CANCELABLE:
        return _unexpected_state(intent, "cancel")
    return Step(kind="cancelled", intent=(over := _over(intent, now)), answer=_told(over))


def lapse(intent: Intent, *, now: datetime) -> Step | None:
    """The bank keeps what is set aside no longer. Stripe API reference, Capture a PaymentIntent."""
    until = intent.capture_before
    if intent.status != "requires_capture" or until is None or now.timestamp() < until:
        return None
    return Step(kind="lapsed", intent=(over := _over(intent, now)), answer=_told(over))


def capture(intent: Intent, *, amount: int, is_final: bool) -> Step:
    """Charge so much of what is set aside. Stripe API reference, Capture a PaymentIntent."""
    if intent.status != "requires_capture" or intent.payment_method is None:
        return _unexpected_state(intent, "capture")
    if amount > intent.amount_capturable:
        message = "The amount to capture is greater than what can be captured."
        raise refusal("amount_too_large", message, param="amount_to_capture")
    method = PAYMENT_METHODS[intent.payment_method]
    if not is_final and not method.captures_parts:
        message = "This PaymentIntent is not eligible for multicapture."
        raise refusal("parameter_invalid_empty", message, param="final_capture")
    if method.capture_decline_code:
        return _not_captured(intent, decline_code=method.capture_decline_code)
    captured = replace(
        intent,
        status="succeeded" if is_final else "requires_capture",
        amount_received=intent.amount_received + amount,
        amount_capturable=0 if is_final else intent.amount_capturable - amount,
    )
    return Step(kind="captured", intent=captured, answer=_told(captured))


def _not_captured(intent: Intent, *, decline_code: str) -> Step:
    """The bank does not let it be charged after all. Stripe docs, "Error codes"."""
    error = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": decline_code,
        "message": "Your card was declined.",
    }
    body = {"error": {**error, "payment_intent": intent.as_json()}}
    return Step(kind="", intent=intent, answer=Answer(status=402, body=body))


def _over(intent: Intent, now: datetime) -> Intent:
    at = int(now.timestamp())
    return replace(intent, status="canceled", canceled_at=at, next_action=None, amount_capturable=0)


def _charge_or_set_aside(intent: Intent, *, charge_id: str, now: datetime) -> Step:
    is_card = PAYMENT_METHODS[intent.payment_method or ""].type == "card"
    if not (is_card and intent.payment_method_options):
        return _charge(intent, charge_id=charge_id)
    set_aside = replace(
        intent,
        status="requires_capture",
        amount_capturable=intent.amount,
        latest_charge=charge_id,
        capture_before=int((now + SET_ASIDE_FOR).timestamp()),
    )
    return Step(kind="set_aside", intent=set_aside, answer=_told(set_aside))


def _charge(intent: Intent, *, charge_id: str) -> Step:
    charged = replace(
        intent, status="succeeded", amount_received=intent.amount, latest_charge=charge_id
    )
    return Step(kind="charged", intent=charged, answer=_told(charged))


def _debit(intent: Intent, *, charge_id: str) -> Step:
    promised = replace(intent, status="processing", latest_charge=charge_id)
    return Step(kind="processing", intent=promised, answer=_told(promised))


def _ask_customer(intent: Intent, *, bank_url: str, return_url: str) -> Step:
    """Have the customer asked. Stripe API reference, next_action.redirect_to_url."""
    if not return_url:
        message = "You must provide a `return_url` when confirming with this payment method."
        raise refusal("parameter_missing", message, param="return_url")
    redirect = {"url": f"{bank_url}/{intent.id}", "return_url": return_url}
    asking = replace(
        intent,
        status="requires_action",
        return_url=return_url,
        next_action={"type": "redirect_to_url", "redirect_to_url": redirect},
    )
    return Step(kind="asks_customer", intent=asking, answer=_told(asking))


def _ask_by_script(asking: Intent) -> Step:
    """Stripe API reference, next_action.use_stripe_sdk: there is no address to go to."""
    asking = replace(asking, next_action={"type": "use_stripe_sdk", "use_stripe_sdk": {}})
    return Step(kind="asks_customer", intent=asking, answer=_told(asking))


def _told(intent: Intent) -> Answer:
    return Answer(status=200, body=intent.as_json())


def _decline(intent: Intent, *, charge_id: str, decline_code: str) -> Step:
    """The intent wants a payment method again. Stripe docs, "Declines"."""
    error = {
        "type": "card_error",
        "code": "card_declined",
        "decline_code": decline_code,
        "message": "Your card was declined.",
        "charge": charge_id,
        "payment_method": {"id": intent.payment_method, "object": "payment_method"},
    }
    declined = replace(
        intent,
        status="requires_payment_method",
        payment_method=None,
        last_payment_error=error,
        latest_charge=charge_id,
    )
    body = {"error": {**error, "payment_intent": declined.as_json()}}
    return Step(kind="declined", intent=declined, answer=Answer(status=402, body=body))


def _unexpected_state(intent: Intent, act: str) -> Step:
    answer = error_answer(
        400,
        "payment_intent_unexpected_state",
        f"You cannot {act} this PaymentIntent because it has a status of {intent.status}.",
        payment_intent=intent.as_json(),
    )
    return Step(kind="", intent=intent, answer=answer)


def _refuse_unknown_parameters(params: dict[str, str]) -> None:
    """Refuses parameters that the sandbox would not act on, as Stripe does."""
    expected = {
        "allowed_payment_method_types[0]": {"card"},
        AUTOMATIC: {"true"},
        "capture_method": {"automatic"},
        MANUAL: {"manual"},
        MULTICAPTURE: {"if_available"},
    }
    for name, value in params.items():
        if name in {"amount", "currency", "payment_method"} or name.startswith(KEPT_ELSEWHERE):
            continue
        if name.startswith("payment_method_types"):
            # Stripe changelog, endive 2026-09-30: replaced by allowed_payment_method_types.
            code = "payment_method_types_no_longer_supported"
            raise refusal(code, f"{name} is no longer supported.")
        refuse_unknown_parameters([name], expected.keys())
        if value not in expected[name]:
            message = f"Invalid {name}: the sandbox does not offer {value}"
            raise refusal("parameter_invalid_string_value", message, param=name)


def _refuse_type(method: str, *, is_automatic: bool) -> None:
    """Stripe docs, "Error codes": payment_intent_incompatible_payment_method."""
    if not is_automatic and PAYMENT_METHODS[method].type != "card":
        message = "The PaymentIntent does not allow this payment method type."
        raise refusal("payment_intent_incompatible_payment_method", message, param="payment_method")


def _required(params: dict[str, str], name: str) -> str:
    if not params.get(name):
        raise refusal("parameter_missing", f"Missing required param: {name}.", param=name)
    return params[name]


def metadata_of(params: dict[str, str]) -> dict[str, str]:
    prefix = "metadata["
    return {
        name.removeprefix(prefix).removesuffix("]"): value
        for name, value in params.items()
        if name.startswith(prefix)
    }
