"""Stripe's web side: its part of the form, how customers come back, and the events it sends."""

import hashlib
import hmac
import json
import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.translation import gettext

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order
from checkout.orders.ways_to_pay.web_side import BadEvent, BadSignature, Hint, Waiting, WebSide
from checkout.runtime.storable_text import is_storable
from payments.gateways.settings import given
from payments.gateways.stripe import amounts
from payments.gateways.stripe.metadata import order_in
from payments.gateways.stripe.tokens import is_token

# Stripe docs, "Receive Stripe events in your webhook endpoint", Preventing replay attacks.
TOLERANCE = timedelta(seconds=300)

# Events that tell only what the worker has just done itself.
DONE_BY_US = {"payment_intent.created"}

# Stripe API reference, "Types of events".
ABOUT_DISPUTES = "charge.dispute."


class StripeWeb(WebSide):
    # What the Payment Element makes of whatever its customer pays with: a confirmation token. The
    # sandbox's form has test cards, which are PaymentMethods.
    method = re.compile(r"(?:pm|ctoken)_[A-Za-z0-9_]{1,100}")
    method_if_none = None
    example_method = "pm_card_visa"

    @property
    def title(self) -> str:  # type: ignore[override] # which one follows from the settings
        return gettext("Card, wallet and others") if self.publishable_key else gettext("Card")

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

    @property
    def units(self) -> str:
        """How many of Stripe's units make one minor unit of the shop's, for the script."""
        return f"{float(amounts.stripe_units(settings.SHOP_CURRENCY)):g}"

    def waiting(self, order: Order) -> Waiting | None:
        """A card's customer approves it at their bank. That of a token may be at PayPal as well."""
        if not is_token(order.payment_method):
            return None
        return Waiting(
            headline=gettext("One step is left: approve your payment"),
            before=gettext(
                "Your bank, or the company with which you pay, asks you to approve the payment on "
                "its own page, and sends you back here."
            ),
            next=gettext("Next: approve the payment, or choose another way to pay."),
            button=gettext("Continue to your payment"),
        )

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
