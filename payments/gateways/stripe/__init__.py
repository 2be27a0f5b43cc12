"""Stripe: the side that calls (`client`, for the worker) and the side that listens (`webhooks`)."""

from typing import Any


def __getattr__(name: str) -> Any:
    """`PAYMENT_GATEWAY` names the gateway here. The client is loaded on demand (PEP 562): a web
    process that looks up Stripe's amounts has no use for the library that calls Stripe."""
    if name == "StripeGateway":
        from payments.gateways.stripe.client import StripeGateway

        return StripeGateway
    raise AttributeError(name)
