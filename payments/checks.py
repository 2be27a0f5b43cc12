"""Configuration mistakes that would cost money, found before the first request."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage

# Settling an order asks the gateway so often at most.
CALLS = 3

STRIPE_TEMPLATE = "payments/payment_method_stripe.html"
SANDBOX_TEMPLATE = "payments/payment_method_sandbox.html"


@register(Tags.security)
def check_gateway(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    from payments.calls import DEADLINE  # with all of the gateway, which web processes never load

    problems: list[CheckMessage] = []
    sandbox_allowed = settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    if settings.STRIPE_API_BASE and not sandbox_allowed:
        problems.append(
            Error(
                "STRIPE_API_BASE sends payments somewhere else than to Stripe.",
                hint="Unset it. For a demonstration set SANDBOX_GATEWAY_ALLOWED=true.",
                id="payments.E001",
            )
        )
    if settings.FAULT_POINT and not sandbox_allowed:
        problems.append(
            Error(
                "FAULT_POINT makes this process kill itself. It is for tests.",
                hint="Unset it.",
                id="payments.E002",
            )
        )
    if settings.PAYMENT_LEASE_SECONDS >= settings.MESSAGE_VISIBILITY_SECONDS:
        problems.append(
            Error(
                "PAYMENT_LEASE_SECONDS is not below MESSAGE_VISIBILITY_SECONDS.",
                hint="A message that comes again would find the lease of a worker that died.",
                id="payments.E003",
            )
        )
    if DEADLINE.total_seconds() < settings.GATEWAY_TIMEOUT_SECONDS * CALLS:
        problems.append(
            Error(
                f"{CALLS} calls of GATEWAY_TIMEOUT_SECONDS take longer than the "
                f"{DEADLINE.total_seconds():.0f} s that settling an order has.",
                hint="The last call would never be made. Set it to 20 or less.",
                id="payments.E004",
            )
        )
    return problems + _check_payment_method()


@register(Tags.security, deploy=True)
def check_sandbox(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if not settings.SANDBOX_GATEWAY_ALLOWED:
        return []
    return [
        WarningMessage(
            "SANDBOX_GATEWAY_ALLOWED is set: this shop may give its goods away.",
            hint="Unset it where customers pay with money.",
            id="payments.W001",
        )
    ]


def _check_payment_method() -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    template = settings.PAYMENT_METHOD_TEMPLATE
    if template == STRIPE_TEMPLATE and not settings.STRIPE_PUBLISHABLE_KEY:
        problems.append(
            Error(
                "STRIPE_PUBLISHABLE_KEY is not set, so nobody can enter a card.",
                hint="It begins with pk_ and stands beside the secret key in Stripe's dashboard.",
                id="payments.E005",
            )
        )
    is_sandbox = settings.STRIPE_API_BASE or settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    if template == SANDBOX_TEMPLATE and not is_sandbox:
        problems.append(
            Error(
                "PAYMENT_METHOD_TEMPLATE offers the sandbox's test buttons, and the gateway is "
                "Stripe.",
                hint=f"Set PAYMENT_METHOD_TEMPLATE={STRIPE_TEMPLATE}.",
                id="payments.E006",
            )
        )
    return problems
