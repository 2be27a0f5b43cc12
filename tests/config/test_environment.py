"""Each setting refuses what is well-formed and means something else, and never shows its value."""

import os
import re
import runpy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from pytest_django.fixtures import Settings

from config.environment import Environment

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = ROOT / "config" / "settings.py"

NUMBER = ["soon", "-1", "1_0", "5%", "١٢", "nan", "1e3", "0x10"]
FLAG = ["ture", "2", "enabled", "no way", "'"]
LIST = ["one,,two", "one,", "one two"]
ADDRESS = ["shop.example", "ftp://shop.example", "https://", "https://shop.example:no"]
SECRET = [" secret", "secret\n", "'secret'", "se\x00cret"]
MARKED = "CANARY"

# Setting → what it refuses. A setting that takes whatever is written has its reason in FREE.
REFUSED: dict[str, list[str]] = {
    "DEBUG": FLAG,
    "HTTPS_ONLY": FLAG,
    "SIGN_IN_LOCKOUT": FLAG,
    "STAFF_SECOND_FACTOR": FLAG,
    "TRUST_X_FORWARDED_PROTO": FLAG,
    "SANDBOX_GATEWAY_ALLOWED": FLAG,
    "DATABASE_BEHIND_PGBOUNCER": FLAG,
    "DATABASE_CONN_MAX_AGE_SECONDS": NUMBER,
    "CHECKOUT_TOKEN_MAX_AGE_SECONDS": [*NUMBER, "0", "5"],
    "UNPAID_ORDER_EXPIRES_SECONDS": [*NUMBER, "0", "5"],
    "MESSAGE_VISIBILITY_SECONDS": [*NUMBER, "0", "43201"],
    "SWEEP_AFTER_SECONDS": [*NUMBER, "0"],
    "SWEEP_EVERY_SECONDS": [*NUMBER, "0"],
    "GATEWAY_TIMEOUT_SECONDS": [*NUMBER, "0", "inf"],
    "PAYMENT_LEASE_SECONDS": [*NUMBER, "0"],
    "EMAIL_TIMEOUT_SECONDS": [*NUMBER, "0", "601"],
    "API_WAITING_AT_MOST": NUMBER,
    "TRUSTED_PROXY_COUNT": [*NUMBER, "21"],
    "METRICS_PORT": [*NUMBER, "65536"],
    "CLOUDWATCH_NAMESPACE": ["My Shop", "AWS/SQS", "aws/shop", "shop:one", "Bücher", "x" * 256],
    "SECRET_KEY": SECRET,
    "SECRET_KEY_FALLBACKS": LIST,
    "METRICS_TOKEN": SECRET,
    "STRIPE_SECRET_KEY": [*SECRET, "pk_live_CANARY", "whsec_CANARY", "sk_live_CAN ARY", "sk_ü"],
    "STRIPE_PUBLISHABLE_KEY": [*SECRET, "sk_live_CANARY", "rk_live_CANARY", "CANARY"],
    "STRIPE_WEBHOOK_SECRETS": [*LIST, "whsec_CANARY,", "sk_test_CANARY", "whsec_a whsec_CANARY"],
    "ALLOWED_HOSTS": [*LIST, "https://shop.example", "shop.example:443", "shop.example/"],
    "CSRF_TRUSTED_ORIGINS": [*LIST, "shop.example", "https://shop.example/path"],
    "SHOP_URL": [*ADDRESS, "https://shop.example/shop", "https://shop.example?x", "https://u@s.ex"],
    "STRIPE_API_BASE": [*ADDRESS, "https://user:CANARY@gateway.example"],
    "AWS_ENDPOINT_URL": ADDRESS,
    "DATABASE_URL": ["nonsense", "sqlite:///shop.db", "'postgres://shop@db/CANARY'"],
    "EMAIL_URL": [
        "carrier-pigeon://loft",
        "smtp://mail.example:port",
        "smtp+tls://shop:CANARY@mail.example:465",
        "smtp+ssl://shop:CANARY@mail.example:587",
        "smtp+tls://mail.example:587?use_ssl=true",
        "smtp+ssl://mail.example?email_use_tls=1",
    ],
    "DEFAULT_FROM_EMAIL": [
        "Halfmoon, Ltd <shop@shop.example>",
        "shop@shop.example, other@shop.example",
        "Halfmoon",
        "Halfmoon <shop>",
        '"Halfmoon <shop@shop.example>"',
    ],
    "LANGUAGE_CODE": ["fr", "EN"],
    "SHOP_COUNTRY": ["de", "DEU", "Germany"],
    "PRICES_INCLUDE_TAX": FLAG,
    "TAX_BY": ["customer", "Origin"],
    "SHOP_TIME_ZONE": ["Berlin", "../etc/passwd", "/etc/passwd", "CET x"],
    "SHOP_ORDERS_EMAIL": ["CANARY", "Shop <CANARY@shop.example>"],
    "CAPTURE": ["CANARY", "Dispatch", "shipping"],
    "CUSTOMERS_CANCEL_PAID": FLAG,
    "WITHDRAWAL_FORM": FLAG,
    "SELLER_EMAIL": ["CANARY", "Shop <CANARY@shop.example>", "a@shop.example, b@shop.example"],
    "INVOICE_SERIES": ["inv", "IN-V", "IN/V", "I" * 11, "Ä"],
    "CREDIT_NOTE_SERIES": ["cn", "C N"],
    "PERSONAL_DATA_YEARS": [*NUMBER, "-1", "101"],
    "INVOICE_YEARS": [*NUMBER, "4", "101"],
    "LOG_LEVEL": ["info", "LOUD"],
    "PAYMENTS_QUEUE_NAME": ["payments", "'payments.fifo'"],
    "LIMIT_PLACING": ["20 in ten minutes", "session 5/10m,", "session -1/10m", "session 50%"],
    "LIMIT_DECLINES": ["shop 500/1h", "session 5/1h, session 6/1h"],
    "LIMIT_LOOKUP": ["session 5"],
    "LIMIT_WITHDRAWALS": ["session 5"],
    "LIMIT_CODES": ["session 5", "everybody 5/10m"],
    "LIMIT_API": ["client 0/1m"],
    "PAYMENT_OFFERS": ["cash", "stripe,", "stripe de", "stripe <5"],
    "MOLLIE_API_BASE": [*ADDRESS, "https://user:CANARY@gateway.example"],
    "MOLLIE_API_KEY": [*SECRET, "sk_test_CANARY", "CANARY"],
    "BANK_TRANSFER_IBAN": ["DE89370400440532013001", "DE8937", "DE89 3704-0044"],
    "BANK_TRANSFER_BIC": ["COBADEFF1", "COBADE-FXXX"],
    "BANK_TRANSFER_DAYS": [*NUMBER, "0", "91"],
    "PAYMENT_GATEWAY": ["payments.gateways.stripe.StripeGateway"],
    "PAYMENT_GATEWAYS": [*LIST, "Stripe", "stripe:x", "strype", "mine=no.such.package", "=stripe"],
}

# What the settings' module has other modules read.
READ_THERE = [
    ROOT / "config" / "gateways.py",
    *sorted((ROOT / "payments" / "gateways").glob("*/settings.py")),
]

# Judged by a check of the finished settings, or whatever is written is meant.
FREE = {
    "SHOP_NAME": "any name",
    "SHOP_CURRENCY": "orders.E001",
    "SHOP_REGION": "whatever staff write in the tax rates",
    "BANK_TRANSFER_HOLDER": "any name",
    "SELLER_NAME": "with the other settings of the seller; see below",
    "SELLER_ADDRESS": "with the other settings of the seller; see below",
    "SELLER_TAX_ID": "with the other settings of the seller; see below",
    "SELLER_REGISTER": "any register",
    "FAULT_POINT": "payments.E002",
    "STATIC_ROOT": "any folder",
    "AWS_REGION": "Amazon has new ones each year; the queue is not found in a wrong one",
}


def settings_with(monkeypatch: pytest.MonkeyPatch, given: Mapping[str, str]) -> dict[str, Any]:
    monkeypatch.setenv("PAYMENT_GATEWAYS", "stripe,bank_transfer,mollie")
    for name, value in given.items():
        if "\x00" in value:  # no environment can hold one, but a file can
            monkeypatch.setattr("os.environ", {**os.environ, name: value})
        else:
            monkeypatch.setenv(name, value)
    return runpy.run_path(str(SETTINGS))


def test_every_setting_is_walked() -> None:
    sources = [SETTINGS, *READ_THERE]
    names = {
        name
        for source in sources
        for name in re.findall(r'(?:env\.\w+|rates|offers)\(\s*"([A-Z_]+)"', source.read_text())
    }

    assert names == REFUSED.keys() | FREE.keys()


@pytest.mark.parametrize(
    ("setting", "value"), [(name, value) for name, values in REFUSED.items() for value in values]
)
def test_what_means_something_else_is_refused_by_name(
    setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings_with(monkeypatch, {setting: value})

    assert str(refusal.value).startswith(setting)
    assert MARKED not in str(refusal.value)
    assert refusal.value.__suppress_context__


SELLER = {
    "SELLER_NAME": "Halfmoon Stationers GmbH",
    "SELLER_ADDRESS": "12 Inkwell Lane, 10115 Berlin, Germany",
    "SELLER_TAX_ID": "DE123456789",
}


@pytest.mark.parametrize("missing", SELLER)
def test_half_a_seller_is_refused_by_the_name_of_what_is_missing(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings_with(monkeypatch, {**SELLER, missing: ""})

    assert str(refusal.value).startswith(f"{missing} is not set")


def test_an_address_with_an_empty_line_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ImproperlyConfigured) as refusal:
        settings_with(monkeypatch, {**SELLER, "SELLER_ADDRESS": "12 CANARY Lane,, Berlin"})

    assert str(refusal.value).startswith("SELLER_ADDRESS")
    assert MARKED not in str(refusal.value)


def test_a_register_alone_is_no_seller_and_no_setting_at_all_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert settings_with(monkeypatch, {})["SELLER"] is None
    assert settings_with(monkeypatch, SELLER)["SELLER"]["address"] == [
        *("12 Inkwell Lane", "10115 Berlin", "Germany")
    ]

    with pytest.raises(ImproperlyConfigured, match="SELLER_NAME is not set"):
        settings_with(monkeypatch, dict.fromkeys(SELLER, "") | {"SELLER_REGISTER": "HRB 1234"})


def test_spaces_around_values_and_after_commas_are_no_part_of_them(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    read = settings_with(
        monkeypatch,
        {
            "SECRET_KEY_FALLBACKS": "new-one, old-one ",
            "STRIPE_WEBHOOK_SECRETS": " whsec_new , whsec_old",
            "ALLOWED_HOSTS": "shop.example, .shop.example, [::1]",
            "DEBUG": "False ",
            "HTTPS_ONLY": " No",
            "SIGN_IN_LOCKOUT": "",
            "SHOP_URL": " https://Shop.example/ ",
            "METRICS_PORT": "",
            "SHOP_NAME": "Bücher, Tee & mehr",
            "DEFAULT_FROM_EMAIL": "",
        },
    )

    assert read["SECRET_KEY_FALLBACKS"] == ["new-one", "old-one"]
    assert read["STRIPE_WEBHOOK_SECRETS"] == ["whsec_new", "whsec_old"]
    assert read["ALLOWED_HOSTS"] == ["shop.example", ".shop.example", "[::1]"]
    assert (read["DEBUG"], read["HTTPS_ONLY"], read["SIGN_IN_LOCKOUT"]) == (False, False, True)
    assert read["SHOP_URL"] == "https://shop.example"
    assert read["METRICS_PORT"] is None
    assert read["DEFAULT_FROM_EMAIL"] == '"Bücher, Tee & mehr" <shop@localhost>'


def test_secret_that_begins_with_a_dollar_is_what_it_says(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_with(monkeypatch, {"SECRET_KEY": "$HOME-and-more"})["SECRET_KEY"] == (
        "$HOME-and-more"
    )


@pytest.mark.parametrize("problem", ["both", "missing", "spaces"])
def test_file_of_a_secret_is_refused_by_name(problem: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    if problem != "missing":
        file.write_text("CANARY" + " \n" * (problem == "spaces"))
    given = {"METRICS_TOKEN_FILE": str(file)}
    if problem == "both":
        given["METRICS_TOKEN"] = "x"

    with pytest.raises(ImproperlyConfigured, match="METRICS_TOKEN") as refusal:
        Environment(given).secret("METRICS_TOKEN")

    assert MARKED not in str(refusal.value)


def test_setting_that_is_spelt_otherwise_is_found() -> None:
    env = Environment({"STRIPE_WEBHOOK_SECRET": "whsec_x", "ALLOWED_HOST": "a", "PATH": "/bin"})
    env.secrets("STRIPE_WEBHOOK_SECRETS")
    env.hosts("ALLOWED_HOSTS")

    assert env.mistyped() == [
        ("ALLOWED_HOST", "ALLOWED_HOSTS"),
        ("STRIPE_WEBHOOK_SECRET", "STRIPE_WEBHOOK_SECRETS"),
    ]


def found_by_checks(settings: Settings, **given: object) -> set[str]:
    for name, value in given.items():
        setattr(settings, name, value)
    found = run_checks(include_deployment_checks=True)
    assert all(MARKED not in f"{each.msg}{each.hint}" for each in found)
    return {str(each.id) for each in found}


LIVE = {"DEBUG": False, "SANDBOX_GATEWAY_ALLOWED": False, "STRIPE_API_BASE": ""}
TEST_KEY, LIVE_KEY = "sk_test_CANARY", "sk_live_CANARY"
TEST_PAGE_KEY, LIVE_PAGE_KEY = "pk_test_CANARY", "pk_live_CANARY"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("given", "check_id"),
    [
        (LIVE | {"STRIPE_SECRET_KEY": TEST_KEY}, "payments.E007"),
        (LIVE | {"STRIPE_SECRET_KEY": "rk_test_CANARY"}, "payments.E007"),
        (LIVE | {"STRIPE_PUBLISHABLE_KEY": TEST_PAGE_KEY}, "payments.E007"),
        ({"DEBUG": True, "STRIPE_SECRET_KEY": LIVE_KEY}, "payments.E008"),
        ({"STRIPE_API_BASE": "https://x.example", "STRIPE_SECRET_KEY": LIVE_KEY}, "payments.E008"),
        (
            {"SANDBOX_GATEWAY_ALLOWED": True, "STRIPE_SECRET_KEY": LIVE_KEY},
            "payments.E008",
        ),
        ({"STRIPE_SECRET_KEY": TEST_KEY, "STRIPE_PUBLISHABLE_KEY": LIVE_PAGE_KEY}, "payments.E009"),
        ({"STRIPE_PUBLISHABLE_KEY": TEST_PAGE_KEY}, "payments.W002"),
        ({"STRIPE_PUBLISHABLE_KEY": TEST_PAGE_KEY, "SHOP_URL": ""}, "payments.E015"),
        ({"SWEEP_AFTER_SECONDS": 25.0, "MESSAGE_VISIBILITY_SECONDS": 25}, "payments.E010"),
        ({"PAYMENT_GATEWAYS": {"stripe": "payments.gateways.stripes"}}, "payments.E011"),
        (
            {
                "CAPTURE": "dispatch",
                "PAYMENT_GATEWAYS": {"bank_transfer": "payments.gateways.bank_transfer"},
            },
            "payments.E016",
        ),
        ({"SESSION_COOKIE_SECURE": True, "SHOP_URL": "http://shop.example"}, "orders.E002"),
        ({"ALLOWED_HOSTS": ["shop.example", "*"]}, "orders.E003"),
        ({"ALLOWED_HOSTS": ["shop.example"], "SHOP_URL": "https://other.example"}, "orders.E004"),
        (
            {"SESSION_COOKIE_SECURE": True, "CSRF_TRUSTED_ORIGINS": ["http://shop.example"]},
            "orders.W005",
        ),
        ({"SIGN_IN_LOCKOUT": False}, "orders.W007"),
        ({"STAFF_SECOND_FACTOR": False}, "orders.W007"),
        ({"METRICS_TOKEN": "CANARY"}, "orders.W008"),
        (
            {"SESSION_COOKIE_SECURE": True, "TRUSTED_PROXY_COUNT": 1},
            "orders.W009",
        ),
        ({"MISTYPED_SETTINGS": [("SHOP_URLS", "SHOP_URL")]}, "orders.W010"),
        ({"SELLER": None}, "orders.W011"),
        ({"SELLER": {"name": "Halfmoon Stationers GmbH (demo)"}}, "orders.W012"),
    ],
)
def test_settings_that_contradict_each_other_are_found(
    settings: Settings, given: dict[str, object], check_id: str
) -> None:
    assert check_id in found_by_checks(settings, **given)


@pytest.mark.django_db
def test_password_in_the_clear_is_warned_of(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for url, is_told in (
        ("smtp://shop:CANARY@mail.example:25", True),
        ("smtp+tls://shop:CANARY@mail.example:587", False),
        ("smtp://shop:CANARY@localhost:25", False),
    ):
        read = settings_with(monkeypatch, {"EMAIL_URL": url})
        given = {name: read[name] for name in read if name.startswith(("EMAIL_", "MAILERS"))}

        assert ("orders.W006" in found_by_checks(settings, **given)) is is_told
