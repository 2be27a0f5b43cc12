"""System checks that find costly mistakes in the configuration before the first request."""

from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage
from django.template.exceptions import TemplateDoesNotExist
from django.template.loader import get_template
from moneyed import CurrencyDoesNotExist

from checkout.catalogue.amounts import limits_of
from checkout.catalogue.gateways import gateway_names, part_of
from checkout.orders.ways_to_pay.offers import offered_names
from checkout.orders.ways_to_pay.web_side import web_side

# The most calls to the gateway that settling an order makes.
CALLS = 3


@register(Tags.security)
def check_fault_point(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.FAULT_POINT and not (settings.DEBUG or settings.SANDBOX_GATEWAY_ALLOWED):
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
def check_gateways(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    for name in gateway_names():
        try:
            template = web_side(name).template
        except ImportError as error:
            yield Error(
                f"PAYMENT_GATEWAYS names {name}, whose web.WEB cannot be loaded: {error}.",
                hint="See docs/development.md, Add a gateway.",
                id="payments.E011",
            )
            continue
        try:
            if template:
                get_template(template)
        except TemplateDoesNotExist:
            yield Error(
                f"The web side of the gateway {name} names a template that does not exist.",
                hint="Set its `template` to one, or to an empty text where it needs none.",
                id="payments.E012",
            )


@register(Tags.compatibility, deploy=True)
def check_callers(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """The side that calls is loaded by workers alone, who would find this out one after another."""
    for name in gateway_names():
        try:
            part_of(name, "client.make")
        except ImportError as error:
            yield Error(
                f"PAYMENT_GATEWAYS names {name}, whose client.make cannot be loaded: {error}.",
                hint="See docs/development.md, Add a gateway.",
                id="payments.E014",
            )


@register(Tags.compatibility, deploy=True)
def check_capture(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    if settings.CAPTURE != "dispatch":
        return
    try:
        makers = [part_of(name, "client.make") for name in gateway_names()]
    except ImportError:
        return  # another check finds this mistake
    if not any(make().abilities.captures_later for make in makers):
        yield Error(
            "CAPTURE is dispatch, and no gateway of PAYMENT_GATEWAYS can set a price aside: every "
            "order would be charged when it is placed.",
            hint="Set it to placing, or name a gateway that can.",
            id="payments.E016",
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
def check_currency(app_configs: Any, **kwargs: Any) -> Iterator[CheckMessage]:
    """What a customer could not pay by the gateway that they chose is told to them, so that another
    one may have its limits. None at all is a mistake."""
    currency = settings.SHOP_CURRENCY
    try:
        limits = [limits_of(currency, name) for name in offered_names()]
    except (ImportError, CurrencyDoesNotExist):
        return  # other checks find these mistakes
    if not any(limits):
        yield Error(
            f"SHOP_CURRENCY is {currency}, which no payment gateway can take at all.",
            hint="Use a currency that the gateway takes, as its documentation says.",
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
