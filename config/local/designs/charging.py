"""Charging an order, as a tutorial does it: the gateway is called, then the outcome is stored."""

import os
import time
import uuid

import requests

from config.local.designs.base import DesignOrder, store_status

TIMEOUT_SECONDS = 10.0

# What Stripe's SDK does unless told otherwise: two more tries, under the key of the first.
SDK_RETRIES = 2


class PaymentRefused(Exception):
    """The gateway did not charge, and will not."""


def take_payment(order: DesignOrder, *, retries: int) -> str:
    """What became of it: paid or failed. Whatever is raised leaves the order pending."""
    try:
        charge(order, retries=retries)
        status = "paid"
    except PaymentRefused:
        status = "failed"
    store_status(order, status)
    return status


def charge(order: DesignOrder, *, retries: int) -> None:
    intent = {
        "amount": str(order.amount_minor),
        "currency": order.currency.lower(),
        "payment_method": order.payment_method,
        "metadata[order]": order.number,
    }
    intent_id = _call_gateway("/v1/payment_intents", intent, retries=retries)
    _call_gateway(f"/v1/payment_intents/{intent_id}/confirm", {}, retries=retries)


def _call_gateway(path: str, params: dict[str, str], *, retries: int) -> str:
    """One call under a key of its own, as Stripe's SDK makes it; the id of what it is about."""
    headers = {
        "Authorization": f"Bearer {os.environ['STRIPE_SECRET_KEY']}",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    url = os.environ["STRIPE_API_BASE"].rstrip("/") + path
    for retry in range(retries + 1):
        is_last = retry == retries
        try:
            answer = requests.post(url, data=params, headers=headers, timeout=TIMEOUT_SECONDS)
        except (requests.ConnectionError, requests.Timeout):
            if is_last:
                raise
        else:
            if is_last or (answer.status_code != 409 and answer.status_code < 500):
                break
        time.sleep(0.5 * 2**retry)
    if answer.status_code in {400, 402}:
        raise PaymentRefused
    answer.raise_for_status()
    return str(answer.json()["id"])
