"""System checks that find costly mistakes in Stripe's settings before the first request."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage

from payments.gateways.settings import given


@register(Tags.security)
def check_api_base(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if given("STRIPE_API_BASE") and not (settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED):
        yield Error(
            "STRIPE_API_BASE sends payments somewhere else than to Stripe.",
            hint="Unset it. For a demonstration set SANDBOX_GATEWAY_ALLOWED=true.",
            id="payments.E001",
        )


@register(Tags.security)
def check_publishable_key(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    is_sandbox = given("STRIPE_API_BASE") or settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    if not given("STRIPE_PUBLISHABLE_KEY") and not is_sandbox:
        yield Error(
            "STRIPE_PUBLISHABLE_KEY is not set, so nobody can enter a card: the checkout page "
            "offers the sandbox's test cards, which Stripe refuses.",
            hint="It begins with pk_ and stands beside the secret key in Stripe's dashboard.",
            id="payments.E005",
        )


@register(Tags.security)
def check_keys(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    modes = _key_modes()
    moves_no_money = settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    for name, mode in modes.items():
        if mode == "test" and not moves_no_money:
            yield Error(
                f"{name} is a test key: this shop would give its goods away.",
                hint="Set it to the live key. For a trial set SANDBOX_GATEWAY_ALLOWED=true.",
                id="payments.E007",
            )
        if mode == "live" and (moves_no_money or given("STRIPE_API_BASE")):
            yield Error(
                f"{name} is a live key, and DEBUG, SANDBOX_GATEWAY_ALLOWED or STRIPE_API_BASE "
                "says that this is a trial: customers' cards would be charged, or the key "
                "sent to somebody else than Stripe.",
                hint="Unset those, or set a test key.",
                id="payments.E008",
            )
    if len(set(modes.values())) > 1:
        yield Error(
            "STRIPE_SECRET_KEY and STRIPE_PUBLISHABLE_KEY are of different modes, so no card "
            "that is entered can be charged.",
            hint="Set both to test keys or both to live keys of one account.",
            id="payments.E009",
        )


def _key_modes() -> dict[str, str]:
    """A key's second part: sk_test_… or sk_live_… (Stripe docs, "API keys"). None is quoted."""
    keys = {
        "STRIPE_SECRET_KEY": given("STRIPE_SECRET_KEY"),
        "STRIPE_PUBLISHABLE_KEY": given("STRIPE_PUBLISHABLE_KEY"),
    }
    return {name: key.split("_")[1] for name, key in keys.items() if key.count("_") > 1}


@register(Tags.security)
def check_way_back(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if given("STRIPE_PUBLISHABLE_KEY") and not settings.SHOP_URL:
        yield Error(
            "SHOP_URL is not set, and Stripe has to know where customers come back to who pay on "
            "another page. It would refuse every payment.",
            hint="Set it to the shop's address from outside: https://shop.example.",
            id="payments.E015",
        )


@register(Tags.security, deploy=True)
def check_webhook_secrets(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if given("STRIPE_PUBLISHABLE_KEY") and not given("STRIPE_WEBHOOK_SECRETS"):
        yield WarningMessage(
            "STRIPE_WEBHOOK_SECRETS is not set: /payments/webhooks/stripe/ refuses everything, and "
            "payments are found out by asking alone, minutes later.",
            hint="Set it to the endpoint's signing secret, which stands in Stripe's dashboard.",
            id="payments.W002",
        )
