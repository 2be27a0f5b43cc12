"""Checks Stripe's events, stores each together with a message to the worker, and answers at once.

An event is a hint: the worker asks the gateway itself. So events may come twice and in any order.
"""

import hashlib
import hmac
import json
import logging
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction

from checkout.orders.identity.matching import names_us, orders_named
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.runtime import trace
from checkout.runtime.storable_text import is_storable
from payments.books.lost_orders import note_lost
from payments.gateways.stripe.metadata import order_in
from payments.models import Payment, WebhookEvent

logger = logging.getLogger(__name__)

# Stripe docs, "Receive Stripe events in your webhook endpoint", Preventing replay attacks.
TOLERANCE = timedelta(seconds=300)

# Events that tell only what the worker has just done itself.
DONE_BY_US = {"payment_intent.created"}


class BadSignature(Exception):
    """The event was not signed by the gateway with a secret of ours, or was signed too long ago."""


class BadEvent(Exception):
    """What was signed does not have the shape of an event."""


def check_signature(body: bytes, header: str, *, secrets: Iterable[str], now: datetime) -> None:
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


def receive_event(body: bytes, *, now: datetime) -> bool:
    """Store the event and have the worker ask. False when the event was received before."""
    event_id, kind, about = _read(body)
    with transaction.atomic():
        event, is_new = WebhookEvent.objects.get_or_create(
            event_id=event_id, defaults={"kind": kind, "received_at": now}
        )
        if not is_new:
            return False
        identity = _identity_in(about)
        order = _find_order(about, identity)
        if order is None:
            if names_us(identity):
                payment_id = next(filter(None, _ids_in(about)), "")
                note_lost(identity, gateway_payment_id=payment_id, now=now)
            logger.info("An event about no order of this shop", extra={"event": event_id})
            return True
        WebhookEvent.objects.filter(pk=event.pk).update(order=order)
        with trace.span("webhook", order.traceparent or None, order=order.number, kind=kind):
            extra = {"event": event_id, "kind": kind, "order": order.number}
            logger.info("An event about an order was received", extra=extra)
            if kind in DONE_BY_US:
                return True
            ask(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, at=now)
    return True


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


def _find_order(about: dict[str, Any], identity: OrderIdentity) -> Order | None:
    """The order of the payment's id, or else of reference and installation; never of the number,
    which another shop on the account may have as well."""
    for payment_id in filter(None, _ids_in(about)):
        known = Payment.objects.filter(gateway_payment_id=payment_id).select_related("order")
        if payment := known.first():
            return payment.order
    return orders_named([identity]).first() if names_us(identity) else None


def _ids_in(about: dict[str, Any]) -> list[str]:
    """What may be the gateway's id of the payment, the likelier one first."""
    return [each for name in ("payment_intent", "id") if isinstance(each := about.get(name), str)]
