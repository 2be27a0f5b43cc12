"""System checks that find costly mistakes in Mollie's settings before the first request."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register

from payments.gateways.settings import given


@register(Tags.security)
def check_mollie(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    is_trial = settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    if given("MOLLIE_API_BASE") and not is_trial:
        yield Error(
            "MOLLIE_API_BASE sends payments somewhere else than to Mollie.",
            hint="Unset it. For a demonstration set SANDBOX_GATEWAY_ALLOWED=true.",
            id="mollie.E001",
        )
    if given("MOLLIE_API_KEY").startswith("test_") and not is_trial:
        yield Error(
            "MOLLIE_API_KEY is a test key: this shop would give its goods away.",
            hint="Set it to the live key. For a trial set SANDBOX_GATEWAY_ALLOWED=true.",
            id="mollie.E002",
        )
    if given("MOLLIE_API_KEY").startswith("live_") and (is_trial or given("MOLLIE_API_BASE")):
        yield Error(
            "MOLLIE_API_KEY is a live key, and DEBUG, SANDBOX_GATEWAY_ALLOWED or MOLLIE_API_BASE "
            "says that this is a trial: customers would be charged, or the key sent to somebody "
            "else than Mollie.",
            hint="Unset those, or set a test key.",
            id="mollie.E003",
        )
    if not settings.SHOP_URL:
        yield Error(
            "SHOP_URL is not set, and Mollie has to know where its customers come back to.",
            hint="Set it to the shop's address from outside: https://shop.example.",
            id="mollie.E004",
        )
