"""Body and signature of a webhook, in the form of Standard Webhooks (standardwebhooks.com)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from checkout.orders.models import WebhookDelivery, WebhookEndpoint
from checkout.orders.money.parts import Parts

# After a change of the secret the new one and the one before it sign for so long.
BOTH_SECRETS_FOR = timedelta(days=7)


def body_of(delivery: WebhookDelivery) -> bytes:
    """The same bytes for every try, without personal data: the reference alone opens no page."""
    order = delivery.order
    parts = Parts.of_order(order)
    data: dict[str, Any] = {
        "number": order.number,
        "reference": order.reference,
        "status": delivery.status,
        "currency": order.currency,
        "total_minor": order.total_minor,
        "refunded_minor": delivery.refunded_minor,
        "goods_minor": parts.goods_minor,
        "discount_minor": parts.discount_minor,
        "delivery_minor": parts.delivery_minor,
        "tax_minor": parts.tax_minor,
        "prices_include_tax": parts.prices_include_tax,
    }
    if delivery.amount_minor is not None:
        data["amount_minor"] = delivery.amount_minor
    happened = delivery.event.created_at.astimezone(UTC)
    return json.dumps(
        {"type": delivery.kind, "timestamp": happened.isoformat(), "data": data}
    ).encode()


def headers_of(delivery: WebhookDelivery, body: bytes, *, now: datetime) -> dict[str, str]:
    now = now.astimezone(UTC)
    signatures = [
        Webhook(secret).sign(delivery.message_id, now, body.decode())
        for secret in secrets_of(delivery.endpoint, now=now)
    ]
    return {
        "Content-Type": "application/json",
        "User-Agent": "Once-Webhooks/1",
        "webhook-id": delivery.message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
    }


def secrets_of(endpoint: WebhookEndpoint, *, now: datetime) -> list[str]:
    rotated_at = endpoint.rotated_at
    if endpoint.previous_secret and rotated_at and now - rotated_at < BOTH_SECRETS_FOR:
        return [endpoint.secret, endpoint.previous_secret]
    return [endpoint.secret]
