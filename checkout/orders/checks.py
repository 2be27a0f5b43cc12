from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage
from moneyed import CurrencyDoesNotExist, get_currency

from checkout.orders.mail_server import mail_backend


@register(Tags.models)
def check_currency(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    try:
        get_currency(settings.SHOP_CURRENCY)
    except CurrencyDoesNotExist:
        return [
            Error(
                f"SHOP_CURRENCY is {settings.SHOP_CURRENCY!r}, which is no currency.",
                hint="Use an ISO 4217 code in capital letters, such as EUR.",
                id="orders.E001",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_proxies(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    limits = [settings.LIMIT_PLACING, settings.LIMIT_DECLINES, settings.LIMIT_LOOKUP]
    counts_addresses = any("address" in rates for rates in limits)
    behind_a_proxy = settings.SECURE_PROXY_SSL_HEADER is not None
    if not (counts_addresses and behind_a_proxy) or settings.TRUSTED_PROXY_COUNT:
        return []
    return [
        WarningMessage(
            "TRUST_X_FORWARDED_PROTO says that there is a proxy, and TRUSTED_PROXY_COUNT that "
            "there is none: all customers share the limits of the proxy's address.",
            hint="Set TRUSTED_PROXY_COUNT to how many proxies add to X-Forwarded-For.",
            id="orders.W004",
        )
    ]


@register(Tags.security, deploy=True)
def check_mail(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if mail_backend() == "django.core.mail.backends.console.EmailBackend":
        problems.append(
            WarningMessage(
                "EMAIL_URL is not set: mails to customers are printed instead of sent.",
                hint="Set it to the mail server, such as smtp+tls://user:password@host:587.",
                id="orders.W001",
            )
        )
    if settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        problems.append(
            WarningMessage(
                "DEFAULT_FROM_EMAIL is no address that mail systems would take mail from.",
                hint="Set it to the shop's own, such as Halfmoon Stationers <shop@shop.example>.",
                id="orders.W002",
            )
        )
    if not settings.SHOP_URL:
        problems.append(
            WarningMessage(
                "SHOP_URL is not set: the mailer does not start, and banks lead nobody back.",
                hint="Set it to the shop's address from outside, such as https://shop.example.",
                id="orders.W003",
            )
        )
    return problems
