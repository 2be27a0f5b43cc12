"""Stripe's web side: the card field, how customers come back, and the events that Stripe sends."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.utils.translation import gettext_lazy as _

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.ways_to_pay.web_side import BadEvent, BadSignature, Hint, WebSide
from checkout.runtime.storable_text import is_storable
from payments.gateways.settings import given
from payments.gateways.stripe import amounts
from payments.gateways.stripe.metadata import order_in

# Stripe docs, "Receive Stripe events in your webhook endpoint", Preventing replay attacks.
TOLERANCE = timedelta(seconds=300)

# Events that tell only what the worker has just done itself.
DONE_BY_US = {"payment_intent.created"}

# Stripe API reference, "Types of events".
ABOUT_DISPUTES = "charge.dispute."


class StripeWeb(WebSide):
    title = _("Card")
    # The id of a PaymentMethod, which the Payment Element makes of the card.
    method = re.compile(r"pm_[A-Za-z0-9_]{1,100}")
    method_if_none = None
    example_method = "pm_card_visa"

    @property
    def template(self) -> str:  # type: ignore[override] # which one follows from the settings
        is_real = bool(self.publishable_key)
        return f"payments/payment_method_{'stripe' if is_real else 'sandbox'}.html"

    @property
    def publishable_key(self) -> str:
        """Public by its nature: it can only create payment methods."""
        return str(given("STRIPE_PUBLISHABLE_KEY"))

    def limits(self, currency: str) -> AmountLimits | None:
        return amounts.limits(currency)

    def is_return(self, params: Mapping[str, Any]) -> bool:
        """Stripe API reference, `return_url`: Stripe adds this to the address."""
        return "redirect_status" in params

    def read_event(self, body: bytes, headers: Mapping[str, str], *, now: datetime) -> Hint:
        _check_signature(
            body,
            headers.get("Stripe-Signature", ""),
            secrets=given("STRIPE_WEBHOOK_SECRETS"),
            now=now,
        )
        event_id, kind, about = _read(body)
        return Hint(
            event_id=event_id,
            kind=kind,
            payment_ids=tuple(_ids_in(about)),
            order=_identity_in(about),
            is_about_dispute=kind.startswith(ABOUT_DISPUTES),
            is_our_own=kind in DONE_BY_US,
        )


WEB = StripeWeb()


def _check_signature(body: bytes, header: str, *, secrets: Iterable[str], now: datetime) -> None:
    """Stripe docs, "Verify webhook signatures manually": v1 is the HMAC-SHA256 of `t.body`."""
    parts = [part.partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name.strip() == "t"]
    signatures = [value for name, _, value in parts if name.strip() == "v1"]
    if len(times) != 1 or not (times[0].isascii() and times[0].isdecimal()) or len(times[0]) > 12:
        raise BadSignature
    if abs(now.timestamp() - int(times[0])) > TOLERANCE.total_seconds():
        raise BadSignature
    signed = times[0].encode() + b"." + body
    expected = [hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest() for secret in secrets]
    matches = [
        hmac.compare_digest(ours.encode(), theirs.encode())
        for ours in expected
        for theirs in signatures
    ]
    if not any(matches):
        raise BadSignature


def _read(body: bytes) -> tuple[str, str, dict[str, Any]]:
    try:
        event = json.loads(body, object_hook=_storable)
        event_id, kind, about = event["id"], event["type"], event["data"]["object"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadEvent from error
    if not (isinstance(event_id, str) and isinstance(kind, str) and isinstance(about, dict)):
        raise BadEvent
    if not 0 < len(event_id) <= 120 or not 0 < len(kind) <= 120:
        raise BadEvent
    return event_id, kind, about


def _storable(part: dict[str, Any]) -> dict[str, Any]:
    """Leaves out the texts that no column can hold: none of them names anything of ours."""
    return {
        name: value
        for name, value in part.items()
        if not isinstance(value, str) or is_storable(value)
    }


def _identity_in(about: dict[str, Any]) -> OrderIdentity:
    metadata = about.get("metadata")
    return order_in(metadata.get) if isinstance(metadata, dict) else OrderIdentity()


def _ids_in(about: dict[str, Any]) -> list[str]:
    """What may be the gateway's id of the payment, the likelier one first."""
    named = (about.get(name) for name in ("payment_intent", "id"))
    return [each for each in named if isinstance(each, str) and each]
