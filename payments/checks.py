"""System checks that find costly mistakes in the configuration before the first request."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import get_template
from django.utils.module_loading import import_string
from moneyed import CurrencyDoesNotExist

from checkout.catalogue.amounts import limits_of

# The most calls to the gateway that settling an order makes.
CALLS = 3

STRIPE_TEMPLATE = "payments/payment_method_stripe.html"
SANDBOX_TEMPLATE = "payments/payment_method_sandbox.html"


@register(Tags.security)
def check_trial_settings(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED:
        return
    if settings.STRIPE_API_BASE:
        yield Error(
            "STRIPE_API_BASE sends payments somewhere else than to Stripe.",
            hint="Unset it. For a demonstration set SANDBOX_GATEWAY_ALLOWED=true.",
            id="payments.E001",
        )
    if settings.FAULT_POINT:
        yield Error(
            "FAULT_POINT makes this process kill itself. It is for tests.",
            hint="Unset it.",
            id="payments.E002",
        )


@register(Tags.security)
def check_time_limits(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    # With this module comes all of the gateway, which web processes never load.
    from payments.settling.gateway_calls import DEADLINE

    if settings.PAYMENT_LEASE_SECONDS >= settings.MESSAGE_VISIBILITY_SECONDS:
        yield Error(
            "PAYMENT_LEASE_SECONDS is not below MESSAGE_VISIBILITY_SECONDS.",
            hint="A message that comes again would find the lease of a worker that died.",
            id="payments.E003",
        )
    if DEADLINE.total_seconds() < settings.GATEWAY_TIMEOUT_SECONDS * CALLS:
        yield Error(
            f"{CALLS} calls of GATEWAY_TIMEOUT_SECONDS take longer than the "
            f"{DEADLINE.total_seconds():.0f} s that settling an order has.",
            hint="The last call would never be made. Set it to 20 or less.",
            id="payments.E004",
        )


@register(Tags.security)
def check_dotted_paths(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for name in ("PAYMENT_GATEWAY", "GATEWAY_LIMITS"):
        try:
            import_string(getattr(settings, name))
        except ImportError:
            yield Error(
                f"{name} names nothing that can be loaded.",
                hint="Unset it, or set it to a dotted path.",
                id="payments.E011",
            )


@register(Tags.security)
def check_payment_method(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    template = settings.PAYMENT_METHOD_TEMPLATE
    try:
        get_template(template)
    except TemplateDoesNotExist:
        yield Error(
            "PAYMENT_METHOD_TEMPLATE names no template.",
            hint=f"Set PAYMENT_METHOD_TEMPLATE={STRIPE_TEMPLATE}.",
            id="payments.E012",
        )
    if template == STRIPE_TEMPLATE and not settings.STRIPE_PUBLISHABLE_KEY:
        yield Error(
            "STRIPE_PUBLISHABLE_KEY is not set, so nobody can enter a card.",
            hint="It begins with pk_ and stands beside the secret key in Stripe's dashboard.",
            id="payments.E005",
        )
    is_sandbox = settings.STRIPE_API_BASE or settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED
    if template == SANDBOX_TEMPLATE and not is_sandbox:
        yield Error(
            "PAYMENT_METHOD_TEMPLATE offers the sandbox's test buttons, and the gateway is Stripe.",
            hint=f"Set PAYMENT_METHOD_TEMPLATE={STRIPE_TEMPLATE}.",
            id="payments.E006",
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
        if mode == "live" and (moves_no_money or settings.STRIPE_API_BASE):
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
        "STRIPE_SECRET_KEY": settings.STRIPE_SECRET_KEY,
        "STRIPE_PUBLISHABLE_KEY": settings.STRIPE_PUBLISHABLE_KEY,
    }
    return {name: key.split("_")[1] for name, key in keys.items() if key.count("_") > 1}


@register(Tags.security, deploy=True)
def check_webhook_secrets(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    takes_events = settings.PAYMENT_METHOD_TEMPLATE == STRIPE_TEMPLATE
    if takes_events and not settings.STRIPE_WEBHOOK_SECRETS:
        yield WarningMessage(
            "STRIPE_WEBHOOK_SECRETS is not set: /payments/webhooks/stripe/ refuses everything, and "
            "payments are found out by asking alone, minutes later.",
            hint="Set it to the endpoint's signing secret, which stands in Stripe's dashboard.",
            id="payments.W002",
        )


@register(Tags.compatibility, deploy=True)
def check_times(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SWEEP_AFTER_SECONDS <= settings.MESSAGE_VISIBILITY_SECONDS:
        yield Error(
            "SWEEP_AFTER_SECONDS is not above MESSAGE_VISIBILITY_SECONDS.",
            hint="Orders would be published again while a worker has them in hand.",
            id="payments.E010",
        )


@register(Tags.models)
def check_amounts(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    currency = settings.SHOP_CURRENCY
    try:
        limits = limits_of(currency)
        gateway_limits = import_string(settings.PAYMENT_GATEWAY).limits(currency)
    except (ImportError, CurrencyDoesNotExist):
        return  # other checks find these mistakes
    if limits != gateway_limits:
        yield Error(
            "GATEWAY_LIMITS answers otherwise than the gateway of PAYMENT_GATEWAY does.",
            hint="Name the function that this gateway's own `limits` calls. It lies in a "
            "module that does not load the gateway.",
            id="payments.E014",
        )
    elif limits is None:
        yield Error(
            f"SHOP_CURRENCY is {currency}, which the payment gateway cannot take at all.",
            hint="Use a currency that it takes. For Stripe see docs.stripe.com/currencies.",
            id="payments.E013",
        )


@register(Tags.security, deploy=True)
def check_sandbox(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SANDBOX_GATEWAY_ALLOWED:
        yield WarningMessage(
            "SANDBOX_GATEWAY_ALLOWED is set: this shop may give its goods away.",
            hint="Unset it where customers pay with money.",
            id="payments.W001",
        )
