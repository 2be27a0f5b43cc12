"""`check --deploy` passes with settings as in production, and refuses each that is careless."""

import os
import subprocess
import sys

import pytest

from tests.support.processes import run

PRODUCTION = {
    "SECRET_KEY": "zJ4v-PrT9mQx_2LkWc8Yb6Hd1Ns5Gf0Ea3Uo7IiKe-RyVt8wQx",
    "DATABASE_URL": "postgres://shop@127.0.0.1/shop",
    "ALLOWED_HOSTS": "shop.example",
    "CSRF_TRUSTED_ORIGINS": "https://shop.example",
    "SHOP_URL": "https://shop.example",
    "SHOP_NAME": "Bücher & Tee",
    "EMAIL_URL": "smtp+tls://shop:secret@mail.example:587",
    "DEFAULT_FROM_EMAIL": "Shop <shop@shop.example>",
    "SELLER_NAME": "Bücher & Tee GmbH",
    "SELLER_ADDRESS": "Marktplatz 1, 28195 Bremen",
    "SELLER_TAX_ID": "DE123456788",
    "STRIPE_PUBLISHABLE_KEY": "pk_live_example",
    "STRIPE_WEBHOOK_SECRETS": "whsec_example",
    "TRUST_X_FORWARDED_PROTO": "true",
    "TRUSTED_PROXY_COUNT": "1",
}


def check(*, without: str = "", **careless: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "DEMO_DIR": os.environ["DEMO_DIR"],  # where no demo ever runs
        **PRODUCTION,
        **careless,
    }
    environment.pop(without, None)
    command = [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"]
    return run(command, environment)


def test_production_settings_pass() -> None:
    result = check()

    assert result.returncode == 0, result.stderr


# What is careless, and the check that says so. Each list is one shop, since a start
# takes a second; what would hide something else is in another.
CARELESS = {
    "unfinished": [
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"SECRET_KEY_FALLBACKS": "short"}, "security.W025"),
        ({"ALLOWED_HOSTS": ""}, "security.W020"),
        ({"STRIPE_PUBLISHABLE_KEY": ""}, "payments.E005"),
        ({"FAULT_POINT": "kill after id stored"}, "payments.E002"),
        ({"EMAIL_URL": "consolemail://"}, "orders.W001"),
        ({"SHOP_URL": ""}, "orders.W003"),
        ({"SHOP_NAME": ""}, "texts.W003"),
        ({"SELLER_NAME": "", "SELLER_ADDRESS": "", "SELLER_TAX_ID": ""}, "orders.W011"),
        ({"TRUSTED_PROXY_COUNT": "0"}, "orders.W004"),
    ],
    "plain": [
        ({"SECRET_KEY": "a" * 80}, "security.W009"),
        ({"ALLOWED_HOSTS": "*"}, "orders.E003"),
        ({"SHOP_URL": "http://shop.example"}, "orders.E002"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_test_example"}, "payments.E007"),
        ({"STRIPE_WEBHOOK_SECRETS": ""}, "payments.W002"),
    ],
    "development": [
        ({"SECRET_KEY": "django-insecure-" + PRODUCTION["SECRET_KEY"]}, "security.W009"),
        ({"DEBUG": "true"}, "security.W018"),
        ({"HTTPS_ONLY": "false"}, "security.W012"),
        ({"SANDBOX_GATEWAY_ALLOWED": "true"}, "payments.W001"),
    ],
    "another Stripe": [
        ({"STRIPE_API_BASE": "http://gateway.example"}, "payments.E001"),
    ],
}


@pytest.mark.parametrize("careless", CARELESS.values(), ids=CARELESS)
def test_careless_settings_are_refused(careless: list[tuple[dict[str, str], str]]) -> None:
    settings = {name: value for each, _ in careless for name, value in each.items()}

    result = check(**settings)

    assert result.returncode == 1
    assert [check_id for _, check_id in careless if check_id not in result.stderr] == []


def test_shop_without_a_secret_key_does_not_start() -> None:
    result = check(without="SECRET_KEY")

    assert result.returncode != 0
    assert "SECRET_KEY is not set" in result.stderr
