"""Calls Mollie's API v2 by `requests`.

Mollie's own client is not used: it tells Mollie the name of the host, tries again by itself, and
hides whether a request was ever sent, which is what decides whether a call may be repeated.
"""

import logging
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Self, TypeVar
from urllib.parse import urlencode

import requests
from django.conf import settings

from checkout.catalogue.amounts import AmountLimits
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.runtime.storable_text import is_storable
from payments.gateways.base import (
    Abilities,
    DisputeState,
    GatewayDispute,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    LineKind,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentLine,
    PaymentMethodRefused,
    PaymentRefused,
    PaymentRequest,
    PostalAddress,
    RefundRefused,
    RefundState,
)
from payments.gateways.mollie import amounts
from payments.gateways.mollie.web import RETURN_MARK
from payments.gateways.over_http import seconds_in, unreached
from payments.gateways.settings import given

logger = logging.getLogger(__name__)

Told = TypeVar("Told")
Json = dict[str, Any]

API_BASE = "https://api.mollie.com"
WEBHOOK_PATH = "/payments/webhooks/mollie/"
MAX_CONNECT_SECONDS = 5.0

# The most objects that Mollie gives at once. Mollie API reference, "Pagination".
PAGE_SIZE = 250

# Mollie docs, "Handling payment status". A status that is not here allows no conclusion yet.
STATES = {
    "open": GatewayState.NEEDS_ACTION,
    "pending": GatewayState.PROMISED,
    "paid": GatewayState.PAID,
    "canceled": GatewayState.CANCELLED,
    "expired": GatewayState.EXPIRED,
    "failed": GatewayState.DECLINED,
}

# Mollie API reference, "Refund object". A refund of another status is on its way.
REFUND_STATES = {
    "refunded": RefundState.SUCCEEDED,
    "failed": RefundState.FAILED,
    "canceled": RefundState.FAILED,
}

# Mollie API reference, "Create payment", locale.
LOCALES = {"de": "de_DE", "en": "en_GB", "fr": "fr_FR", "nl": "nl_NL", "es": "es_ES", "it": "it_IT"}

# Mollie API reference, "Create payment", lines. Tax beside the prices is none of its types.
LINE_TYPES = {
    LineKind.GOODS: "physical",
    LineKind.DELIVERY: "shipping_fee",
    LineKind.DISCOUNT: "discount",
    LineKind.TAX: "surcharge",
}

E164 = re.compile(r"\+[1-9][0-9]{6,14}")

NUMBER, REFERENCE, INSTALLATION = "order", "order_reference", "installation"


class MollieGateway:
    """Threads may share one: each has a session of its own."""

    abilities = Abilities(
        # Mollie docs, "API idempotency": keys are kept for an hour.
        remembers_keys_for=timedelta(hours=1),
        refunds_return_within=timedelta(days=45),
        # Mollie API reference, "Cancel payment": only while `isCancelable`.
        cancels=False,
        wants_customer=True,
        wants_lines=True,
    )

    def __init__(
        self, *, api_key: str, api_base: str = "", timeout_seconds: float = 20.0, hook: str = ""
    ) -> None:
        connect_seconds = min(MAX_CONNECT_SECONDS, timeout_seconds / 4)
        self._timeout = (connect_seconds, timeout_seconds - connect_seconds)
        self._base = (api_base or API_BASE).rstrip("/")
        self._key = api_key
        self._hook = hook
        self._local = threading.local()

    @classmethod
    def from_settings(cls) -> Self:
        return cls(
            api_key=given("MOLLIE_API_KEY"),
            api_base=given("MOLLIE_API_BASE"),
            timeout_seconds=settings.GATEWAY_TIMEOUT_SECONDS,
            hook=f"{settings.SHOP_URL}{WEBHOOK_PATH}" if settings.SHOP_URL else "",
        )

    @staticmethod
    def limits(currency: str) -> AmountLimits | None:
        return amounts.limits(currency)

    def open(self, request: PaymentRequest, *, idempotency_key: str) -> GatewayPayment:
        if amounts.limits(request.currency) is None:
            raise PaymentRefused("currency_not_taken")
        order = request.order
        names = {NUMBER: order.number, REFERENCE: order.reference, INSTALLATION: order.installation}
        wanted: Json = {
            "amount": amounts.to_mollie(request.amount_minor, request.currency),
            "description": order.number,
            "redirectUrl": _marked(request.return_url),
            "metadata": {name: value for name, value in names.items() if value},
        }
        if self._hook.startswith("https:") or self._base != API_BASE:  # Mollie takes no other
            wanted |= {"webhookUrl": self._hook} if self._hook else {}
        if request.payment_method:
            wanted["method"] = request.payment_method
        if locale := LOCALES.get(request.language[:2]):
            wanted["locale"] = locale
        wanted |= _who_and_what(request)
        status, told = self._call("POST", "payments", wanted, key=idempotency_key)
        if status == 201:
            return _payment(told)
        if status == 422 and told.get("field") == "method":
            raise PaymentMethodRefused("method")
        raise _concluded(status, told, PaymentRefused)

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        return self.retrieve(payment_id)  # its customer confirms, on Mollie's page

    def retrieve(self, payment_id: str) -> GatewayPayment:
        status, told = self._call("GET", f"payments/{payment_id}")
        if status == 200:
            return _payment(told)
        raise _concluded(status, told, NoSuchPayment)

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        """Where Mollie does not cancel, a second call asks why: the payment may be over, or its
        customer at their bank."""
        status, told = self._call("DELETE", f"payments/{payment_id}", key=idempotency_key)
        if status == 200:
            return _payment(told)
        if status == 422:
            payment = self.retrieve(payment_id)
            is_over = payment.state in {GatewayState.DECLINED, GatewayState.EXPIRED}
            return _as(payment, GatewayState.CANCELLED) if is_over else payment
        raise _concluded(status, told, NoSuchPayment)

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        wanted: Json = {
            "amount": amounts.to_mollie(amount_minor, currency),
            "metadata": {"refund_key": refund_key},
        }
        path = f"payments/{payment_id}/refunds"
        status, told = self._call("POST", path, wanted, key=idempotency_key)
        if status == 201:
            return _refund(told)
        raise _concluded(status, told, RefundRefused)

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        return list(self._each(f"payments/{payment_id}/refunds", "refunds", _refund))

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        return self._each("payments", "payments", _payment, since=since)

    def list_refunds_since(self, since: datetime) -> Iterator[GatewayRefund]:
        return self._each("refunds", "refunds", _refund, since=since)

    def disputes_of(self, payment_id: str) -> list[GatewayDispute]:
        return list(self._each(f"payments/{payment_id}/chargebacks", "chargebacks", _dispute))

    def list_disputes_since(self, since: datetime) -> Iterator[GatewayDispute]:
        return self._each("chargebacks", "chargebacks", _dispute, since=since)

    def _each(
        self,
        path: str,
        name: str,
        told_as: Callable[[Json], Told],
        *,
        since: datetime | None = None,
    ) -> Iterator[Told]:
        """All objects of a list, newest first, page by page."""
        address = f"{path}?{urlencode({'limit': PAGE_SIZE})}"
        while address:
            status, page = self._call("GET", address)
            if status != 200:
                raise _concluded(status, page, NoSuchPayment)
            for theirs in page.get("_embedded", {}).get(name, []):
                if since is not None and datetime.fromisoformat(theirs["createdAt"]) < since:
                    return
                yield told_as(theirs)
            link = (page.get("_links", {}).get("next") or {}).get("href", "")
            # Nobody else is sent the key, whatever an answer says.
            start = f"{self._base}/v2/"
            address = link.removeprefix(start) if link.startswith(start) else ""

    def _call(
        self, method: str, path: str, wanted: Json | None = None, *, key: str = ""
    ) -> tuple[int, Json]:
        """The status and the body of Mollie's answer. Raises GatewayError where there is none, or
        where the status alone says all."""
        headers = {"Authorization": f"Bearer {self._key}"}
        if key:
            headers["Idempotency-Key"] = key
        try:
            answer = self._session().request(
                method,
                f"{self._base}/v2/{path}",
                json=wanted,
                headers=headers,
                timeout=self._timeout,
                allow_redirects=False,
            )
            body = answer.json() if answer.content else {}
        except requests.exceptions.JSONDecodeError:
            body = {}
        except requests.RequestException as error:
            raise unreached(error) from None
        status = answer.status_code
        if status in {401, 403}:
            raise GatewayMisconfigured(f"http_{status}")
        if status in {409, 429}:
            # Mollie docs, "API idempotency": 409 where the same request is under way.
            is_under_way = status == 409
            seconds = seconds_in(answer.headers.get("Retry-After", ""))
            code = f"http_{status}"
            raise NotExecuted(code, retry_after_seconds=seconds, is_under_way=is_under_way)
        if status >= 500 or not isinstance(body, dict):
            raise OutcomeUnknown(f"http_{status}")
        return status, body

    def _session(self) -> requests.Session:
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
        session: requests.Session = self._local.session
        return session


make = MollieGateway.from_settings


def _concluded(status: int, told: Json, refusal: type[GatewayError]) -> GatewayError:
    """Mollie API reference, "Error handling": a refusal names the field that it is about."""
    field = str(told.get("field", ""))
    code = field if field.replace(".", "_").isidentifier() else f"http_{status}"
    logger.info("Mollie gave no outcome.", extra={"code": code, "http_status": status})
    if status in {404, 410} and refusal is not RefundRefused:
        return NoSuchPayment("resource_missing")
    return refusal(code) if status in {400, 404, 422} else OutcomeUnknown(code)


def _marked(return_url: str) -> str:
    if not return_url:
        raise GatewayMisconfigured("shop_url_is_not_set")
    return f"{return_url}?{urlencode([RETURN_MARK])}"


def _who_and_what(request: PaymentRequest) -> Json:
    """Without these Klarna and others that lend the price are not offered on Mollie's page."""
    told: Json = {}
    if request.billing:
        told["billingAddress"] = _address(request.billing, request.email)
    if request.delivery:
        told["shippingAddress"] = _address(request.delivery, request.email)
    if request.lines:
        told["lines"] = [_line(line, request.currency) for line in request.lines]
    return told


def _address(address: PostalAddress, email: str) -> Json:
    """Mollie API reference, "Create payment", billingAddress. It has two names where we have one,
    and takes a telephone number as E.164 has it alone."""
    given_name, _, family_name = address.full_name.strip().rpartition(" ")
    told = {
        "givenName": given_name or family_name,
        "familyName": family_name,
        "organizationName": address.company,
        "streetAndNumber": address.address,
        "streetAdditional": address.address2,
        "postalCode": address.postcode,
        "email": email,
        "phone": address.phone if E164.fullmatch(address.phone) else "",
        "city": address.city,
        "region": address.region,
        "country": address.country,
    }
    return {name: value for name, value in told.items() if value}


def _line(line: PaymentLine, currency: str) -> Json:
    told: Json = {
        "type": LINE_TYPES[line.kind],
        "description": line.name,
        "quantity": line.quantity,
        "unitPrice": amounts.to_mollie(line.each_minor, currency),
        "totalAmount": amounts.to_mollie(line.total_minor, currency),
    }
    return told | ({"sku": line.sku} if line.sku else {})


def _payment(theirs: Json) -> GatewayPayment:
    state = STATES.get(theirs.get("status", ""), GatewayState.PROCESSING)
    metadata = theirs.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    checkout = (theirs.get("_links", {}).get("checkout") or {}).get("href", "")
    expires_at = theirs.get("expiresAt")
    try:
        amount_minor = amounts.from_mollie(theirs["amount"])
    except (ValueError, KeyError):
        raise OutcomeUnknown("amount_not_exact") from None
    return GatewayPayment(
        id=theirs["id"],
        state=state,
        amount_minor=amount_minor,
        currency=theirs["amount"]["currency"],
        order=OrderIdentity(
            number=_text(names.get(NUMBER)),
            reference=_text(names.get(REFERENCE)),
            installation=_text(names.get(INSTALLATION)),
        ),
        decline_code=theirs["status"] if state is GatewayState.DECLINED else "",
        action_url=checkout if state is GatewayState.NEEDS_ACTION else "",
        waits_until=datetime.fromisoformat(expires_at) if expires_at else None,
        opened_at=datetime.fromisoformat(theirs["createdAt"]),
    )


def _as(payment: GatewayPayment, state: GatewayState) -> GatewayPayment:
    return replace(payment, state=state, decline_code="", action_url="")


def _text(value: object) -> str:
    """Empty for what is no text that a column can hold: nothing of ours is named by that."""
    return value if isinstance(value, str) and is_storable(value) else ""


def _refund(theirs: Json) -> GatewayRefund:
    metadata = theirs.get("metadata")
    names = metadata if isinstance(metadata, dict) else {}
    return GatewayRefund(
        id=theirs["id"],
        state=REFUND_STATES.get(theirs.get("status", ""), RefundState.PENDING),
        payment_id=theirs["paymentId"],
        amount_minor=amounts.from_mollie(theirs["amount"]),
        currency=theirs["amount"]["currency"],
        refund_key=_text(names.get("refund_key")),
    )


def _dispute(theirs: Json) -> GatewayDispute:
    """Mollie tells of a chargeback when the money is gone, and of its reversal when it is back. The
    shop answers at Mollie's own site, so nothing is due here."""
    return GatewayDispute(
        id=theirs["id"],
        state=DisputeState.WON if theirs.get("reversedAt") else DisputeState.LOST,
        payment_id=theirs["paymentId"],
        amount_minor=amounts.from_mollie(theirs["amount"]),
        currency=theirs["amount"]["currency"],
        reason=_text((theirs.get("reason") or {}).get("code")) or "chargeback",
        opened_at=datetime.fromisoformat(theirs["createdAt"]),
        due_at=None,
    )
