"""Configuration mistakes that would cost money, found before the first request."""

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register


@register(Tags.security)
def check_gateway(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
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
    return problems
