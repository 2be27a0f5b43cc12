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


@pytest.mark.parametrize(
    ("careless", "check_id"),
    [
        ({"SECRET_KEY": "short"}, "security.W009"),
        ({"SECRET_KEY": "a" * 80}, "security.W009"),
        (
            {"SECRET_KEY": "django-insecure-" + PRODUCTION["SECRET_KEY"]},
            "security.W009",
        ),
        ({"SECRET_KEY_FALLBACKS": "short"}, "security.W025"),
        ({"DEBUG": "true"}, "security.W018"),
        ({"ALLOWED_HOSTS": ""}, "security.W020"),
        ({"HTTPS_ONLY": "false"}, "security.W012"),
        ({"SANDBOX_GATEWAY_ALLOWED": "true"}, "payments.W001"),
        ({"STRIPE_API_BASE": "http://gateway.example"}, "payments.E001"),
        ({"FAULT_POINT": "kill after id stored"}, "payments.E002"),
        ({"STRIPE_PUBLISHABLE_KEY": ""}, "payments.E005"),
        ({"EMAIL_URL": "consolemail://"}, "orders.W001"),
        ({"SHOP_URL": ""}, "orders.W003"),
        ({"SHOP_NAME": ""}, "texts.W003"),
        ({"SELLER_NAME": "", "SELLER_ADDRESS": "", "SELLER_TAX_ID": ""}, "orders.W011"),
        ({"TRUSTED_PROXY_COUNT": "0"}, "orders.W004"),
        ({"STRIPE_PUBLISHABLE_KEY": "pk_test_example"}, "payments.E007"),
        ({"ALLOWED_HOSTS": "*"}, "orders.E003"),
        ({"SHOP_URL": "http://shop.example"}, "orders.E002"),
        ({"STRIPE_WEBHOOK_SECRETS": ""}, "payments.W002"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_careless_setting_is_refused(careless: dict[str, str], check_id: str) -> None:
    result = check(**careless)

    assert result.returncode == 1
    assert check_id in result.stderr


def test_shop_without_a_secret_key_does_not_start() -> None:
    result = check(without="SECRET_KEY")

    assert result.returncode != 0
    assert "SECRET_KEY is not set" in result.stderr
