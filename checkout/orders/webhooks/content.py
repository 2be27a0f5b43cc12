"""Body and signature of a webhook, in the form of Standard Webhooks (standardwebhooks.com)."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from standardwebhooks import Webhook

from checkout.orders.models import Shipment, WebhookDelivery, WebhookEndpoint
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
    data |= _details_of(delivery)
    happened = delivery.event.created_at.astimezone(UTC)
    return json.dumps(
        {"type": delivery.kind, "timestamp": happened.isoformat(), "data": data}
    ).encode()


def _details_of(delivery: WebhookDelivery) -> dict[str, Any]:
    """What only some kinds tell: the parcel, or the dispute, as it was kept with the event."""
    told = delivery.event.told or {}
    if "dispute" in told:
        return {"dispute": told["dispute"]}
    if "shipment" not in told:
        return {}
    shipment = Shipment.objects.get(pk=told["shipment"])
    lines = shipment.lines.values_list("line__sku", "quantity")
    return {
        "dispatch_status": told["dispatch_status"],
        "shipment": {
            "id": shipment.pk,
            "tracking_number": shipment.tracking_number,
            "lines": [{"sku": sku, "quantity": quantity} for sku, quantity in lines],
        },
    }


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
