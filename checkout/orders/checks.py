from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage
from django.http.request import validate_host
from moneyed import CurrencyDoesNotExist, get_currency

from checkout.orders.mail.server import mail_backend, tells_its_password


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
    problems: list[CheckMessage] = []
    limits = [settings.LIMIT_PLACING, settings.LIMIT_DECLINES, settings.LIMIT_LOOKUP]
    counts_addresses = any("address" in rates for rates in limits)
    is_told_of_tls = settings.SECURE_PROXY_SSL_HEADER is not None
    has_proxy = settings.TRUSTED_PROXY_COUNT > 0
    if counts_addresses and is_told_of_tls and not has_proxy:
        problems.append(
            WarningMessage(
                "TRUST_X_FORWARDED_PROTO says that there is a proxy, and TRUSTED_PROXY_COUNT that "
                "there is none: all customers share the limits of the proxy's address.",
                hint="Set TRUSTED_PROXY_COUNT to how many proxies add to X-Forwarded-For.",
                id="orders.W004",
            )
        )
    if settings.SESSION_COOKIE_SECURE and has_proxy and not is_told_of_tls:
        problems.append(
            WarningMessage(
                "TRUSTED_PROXY_COUNT says that there is a proxy, and TRUST_X_FORWARDED_PROTO that "
                "nobody tells of TLS: with HTTPS_ONLY each page would lead to itself for ever.",
                hint="Set TRUST_X_FORWARDED_PROTO=true where the proxy sets that header.",
                id="orders.W009",
            )
        )
    return problems


@register(Tags.security)
def check_address(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    if settings.SESSION_COOKIE_SECURE and settings.SHOP_URL.startswith("http://"):
        return [
            Error(
                "SHOP_URL begins with http://, and HTTPS_ONLY is on.",
                hint="Set it to https://…, or HTTPS_ONLY=false where there is no TLS.",
                id="orders.E002",
            )
        ]
    return []


@register(Tags.security, deploy=True)
def check_hosts(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if "*" in settings.ALLOWED_HOSTS:
        problems.append(
            Error(
                "ALLOWED_HOSTS is *: whoever asks for a new password of somebody else decides to "
                "which host its link leads.",
                hint="Set it to the shop's own host names.",
                id="orders.E003",
            )
        )
    host = urlsplit(settings.SHOP_URL).hostname
    if host and settings.ALLOWED_HOSTS and not validate_host(host, settings.ALLOWED_HOSTS):
        problems.append(
            Error(
                "SHOP_URL names a host that is not in ALLOWED_HOSTS: links in e-mails would be "
                "refused.",
                hint="Add it to ALLOWED_HOSTS.",
                id="orders.E004",
            )
        )
    if settings.SESSION_COOKIE_SECURE and any(
        origin.startswith("http://") for origin in settings.CSRF_TRUSTED_ORIGINS
    ):
        problems.append(
            WarningMessage(
                "CSRF_TRUSTED_ORIGINS trusts pages that come without TLS, and HTTPS_ONLY is on.",
                hint="Begin each with https://.",
                id="orders.W005",
            )
        )
    return problems


# RFC 6750, 5.2: a bearer token must not be guessed.
METRICS_TOKEN_AT_LEAST = 16


@register(Tags.security, deploy=True)
def check_doors(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = [
        WarningMessage(
            f"{name} is off: {what}.", hint="Unset it where customers buy.", id="orders.W007"
        )
        for name, what in (
            ("SIGN_IN_LOCKOUT", "passwords may be guessed without end"),
            ("STAFF_SECOND_FACTOR", "a password alone opens the admin"),
        )
        if not getattr(settings, name)
    ]
    token = settings.METRICS_TOKEN
    if token and (
        len(token) < METRICS_TOKEN_AT_LEAST
        or token in {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS}
    ):
        problems.append(
            WarningMessage(
                "METRICS_TOKEN is short, or serves as SECRET_KEY as well.",
                hint=f"Set it to {METRICS_TOKEN_AT_LEAST} random characters or more.",
                id="orders.W008",
            )
        )
    return problems


@register(Tags.compatibility, deploy=True)
def check_names(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    return [
        WarningMessage(
            f"{given} is set and read by nobody. {known} is not set.",
            hint=f"Name it {known}, or unset it.",
            id="orders.W010",
        )
        for given, known in settings.MISTYPED_SETTINGS
    ]


@register(Tags.security, deploy=True)
def check_mail(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    problems: list[CheckMessage] = []
    if mail_backend() != "django.core.mail.backends.smtp.EmailBackend":
        problems.append(
            WarningMessage(
                "EMAIL_URL is not set, or names no mail server: mails to customers are not sent.",
                hint="Set it to the mail server, such as smtp+tls://user:password@host:587.",
                id="orders.W001",
            )
        )
    elif tells_its_password():
        problems.append(
            WarningMessage(
                "EMAIL_URL sends the mail server's password over the network in the clear.",
                hint="Begin it with smtp+tls:// or smtp+ssl://.",
                id="orders.W006",
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
