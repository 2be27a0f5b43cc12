"""System checks that find costly mistakes in the settings before the first request."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, register
from django.core.checks import Warning as WarningMessage
from django.http.request import validate_host
from moneyed import CurrencyDoesNotExist, get_currency

from checkout.orders.mail.server import mail_backend, tells_its_password
from checkout.user_input.countries import country_codes

# What marks the seller that `make demo` names.
DEMO_SELLER = "(demo)"

# RFC 6750, 5.2: a bearer token must not be guessed.
METRICS_TOKEN_AT_LEAST = 16


@register(Tags.models)
def check_currency(**kwargs: Any) -> Iterator[CheckMessage]:
    try:
        get_currency(settings.SHOP_CURRENCY)
    except CurrencyDoesNotExist:
        yield Error(
            f"SHOP_CURRENCY is {settings.SHOP_CURRENCY!r}, which is no currency.",
            hint="Use an ISO 4217 code in capital letters, such as EUR.",
            id="orders.E001",
        )


@register(Tags.models)
def check_country(**kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SHOP_COUNTRY not in country_codes():
        yield Error(
            f"SHOP_COUNTRY is {settings.SHOP_COUNTRY!r}, which is no country.",
            hint="Use an ISO 3166-1 code in capital letters, such as DE.",
            id="orders.E005",
        )


@register(Tags.security, deploy=True)
def check_proxies(**kwargs: Any) -> Iterator[CheckMessage]:
    limits = [
        *(settings.LIMIT_PLACING, settings.LIMIT_DECLINES),
        *(settings.LIMIT_LOOKUP, settings.LIMIT_WITHDRAWALS, settings.LIMIT_CODES),
    ]
    counts_addresses = any("address" in rates for rates in limits)
    is_told_of_tls = settings.SECURE_PROXY_SSL_HEADER is not None
    has_proxy = settings.TRUSTED_PROXY_COUNT > 0
    if counts_addresses and is_told_of_tls and not has_proxy:
        yield WarningMessage(
            "TRUST_X_FORWARDED_PROTO says that there is a proxy, and TRUSTED_PROXY_COUNT that "
            "there is none. All customers share the limits of the proxy's address.",
            hint="Set TRUSTED_PROXY_COUNT to how many proxies add to X-Forwarded-For.",
            id="orders.W004",
        )
    if settings.SESSION_COOKIE_SECURE and has_proxy and not is_told_of_tls:
        yield WarningMessage(
            "TRUSTED_PROXY_COUNT says that there is a proxy, and without TRUST_X_FORWARDED_PROTO "
            "the shop never learns of TLS. With HTTPS_ONLY each page would redirect to itself.",
            hint="Set TRUST_X_FORWARDED_PROTO=true where the proxy sets that header.",
            id="orders.W009",
        )


@register(Tags.security)
def check_address(**kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SESSION_COOKIE_SECURE and settings.SHOP_URL.startswith("http://"):
        yield Error(
            "SHOP_URL begins with http://, and HTTPS_ONLY is on.",
            hint="Set it to https://…, or HTTPS_ONLY=false where there is no TLS.",
            id="orders.E002",
        )


@register(Tags.security, deploy=True)
def check_hosts(**kwargs: Any) -> Iterator[CheckMessage]:
    if "*" in settings.ALLOWED_HOSTS:
        yield Error(
            "ALLOWED_HOSTS is *. Whoever asks for a new password of somebody else decides to "
            "which host the link in the mail leads.",
            hint="Set it to the shop's own host names.",
            id="orders.E003",
        )
    host = urlsplit(settings.SHOP_URL).hostname
    if host and settings.ALLOWED_HOSTS and not validate_host(host, settings.ALLOWED_HOSTS):
        yield Error(
            "SHOP_URL names a host that is not in ALLOWED_HOSTS. The shop would refuse the links "
            "in its own e-mails.",
            hint="Add it to ALLOWED_HOSTS.",
            id="orders.E004",
        )
    origins = settings.CSRF_TRUSTED_ORIGINS
    if settings.SESSION_COOKIE_SECURE and any(each.startswith("http://") for each in origins):
        yield WarningMessage(
            "CSRF_TRUSTED_ORIGINS trusts pages that come without TLS, and HTTPS_ONLY is on.",
            hint="Begin each with https://.",
            id="orders.W005",
        )


@register(Tags.security, deploy=True)
def check_sign_in_and_metrics(**kwargs: Any) -> Iterator[CheckMessage]:
    for name, what in (
        ("SIGN_IN_LOCKOUT", "passwords may be guessed without end"),
        ("STAFF_SECOND_FACTOR", "a password alone opens the admin"),
    ):
        if not getattr(settings, name):
            hint = "Unset it where customers buy."
            yield WarningMessage(f"{name} is off: {what}.", hint=hint, id="orders.W007")
    token, keys = settings.METRICS_TOKEN, {settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS}
    if token and (len(token) < METRICS_TOKEN_AT_LEAST or token in keys):
        yield WarningMessage(
            "METRICS_TOKEN is short, or serves as SECRET_KEY as well.",
            hint=f"Set it to {METRICS_TOKEN_AT_LEAST} random characters or more.",
            id="orders.W008",
        )


@register(Tags.compatibility, deploy=True)
def check_names(**kwargs: Any) -> Iterator[CheckMessage]:
    for given, known in settings.MISTYPED_SETTINGS:
        yield WarningMessage(
            f"{given} is set, and the shop does not read it. {known} is not set.",
            hint=f"Name it {known}, or unset it.",
            id="orders.W010",
        )


@register(Tags.security, deploy=True)
def check_mail(**kwargs: Any) -> Iterator[CheckMessage]:
    if mail_backend() != "django.core.mail.backends.smtp.EmailBackend":
        yield WarningMessage(
            "EMAIL_URL is not set, or names no mail server. Mails to customers are not sent.",
            hint="Set it to the mail server, such as smtp+tls://user:password@host:587.",
            id="orders.W001",
        )
    elif tells_its_password():
        yield WarningMessage(
            "EMAIL_URL sends the mail server's password over the network in the clear.",
            hint="Begin it with smtp+tls:// or smtp+ssl://.",
            id="orders.W006",
        )
    if settings.DEFAULT_FROM_EMAIL.rstrip(">").endswith("@localhost"):
        yield WarningMessage(
            "DEFAULT_FROM_EMAIL is an address from which mail systems accept no mail.",
            hint="Set it to the shop's own, such as My Shop <shop@shop.example>.",
            id="orders.W002",
        )
    if not settings.SHOP_URL:
        yield WarningMessage(
            "SHOP_URL is not set. The mailer does not start, and banks send no customer back.",
            hint="Set it to the shop's address from outside, such as https://shop.example.",
            id="orders.W003",
        )


@register(Tags.compatibility, deploy=True)
def check_seller(**kwargs: Any) -> Iterator[CheckMessage]:
    if settings.SELLER is None:
        yield WarningMessage(
            "SELLER_NAME is not set. The shop issues no invoices.",
            hint="Set SELLER_NAME, SELLER_ADDRESS and SELLER_TAX_ID.",
            id="orders.W011",
        )
    elif DEMO_SELLER in settings.SELLER["name"]:
        yield WarningMessage(
            "SELLER_NAME is that of the demo, and it is printed on every invoice.",
            hint="Set it to the seller's own legal name.",
            id="orders.W012",
        )
