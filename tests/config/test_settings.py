"""A wrong setting stops the process at start, by its name and with a hint."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from environ import Env

from config.mail import mail_settings
from tests.support.processes import run


def manage(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run([sys.executable, "manage.py", *arguments], os.environ | environment)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("DATABASE_URL", "sqlite:///shop.db"),
        ("DATABASE_URL", "nonsense"),
        ("PAYMENTS_QUEUE_NAME", "payments"),
        ("GATEWAY_TIMEOUT_SECONDS", "soon"),
        ("EMAIL_URL", "carrier-pigeon://loft"),
        ("EMAIL_URL", "smtp://mail.example:port"),
        ("LIMIT_PLACING", "20 in ten minutes"),
        ("LIMIT_DECLINES", "session 5/1h, session 6/1h"),
        ("LIMIT_DECLINES", "shop 500/1h"),
        ("LIMIT_LOOKUP", "session 5"),
        ("TRUSTED_PROXY_COUNT", "-1"),
    ],
)
def test_malformed_setting_is_named_in_one_line(setting: str, value: str) -> None:
    result = manage("check", **{setting: value})

    assert result.returncode != 0
    assert setting in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("setting", ["DATABASE_URL", "SECRET_KEY"])
def test_missing_setting_is_named_in_one_line(
    setting: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(setting)

    result = manage("migrate")

    assert result.returncode != 0
    assert result.stderr.startswith(f"Configuration: {setting} is not set.")
    assert len(result.stderr.splitlines()) == 1


def test_secret_may_be_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "secret_key"
    secret.write_text("from-a-file-" * 5 + "\n")
    monkeypatch.delenv("SECRET_KEY")

    result = manage(
        "shell",
        "-v0",
        "-c",
        "from django.conf import settings; print(repr(settings.SECRET_KEY[-12:]))",
        SECRET_KEY_FILE=str(secret),
    )

    assert result.stdout.strip() == "'from-a-file-'"


# Each list is one start of the check. What can be found without the sandbox alone is in the last.
COSTLY = [
    [
        ({"PAYMENT_LEASE_SECONDS": "200"}, "E003"),
        ({"GATEWAY_TIMEOUT_SECONDS": "40"}, "E004"),
        ({"SHOP_CURRENCY": "XAU"}, "E013"),
    ],
    [
        ({"SANDBOX_GATEWAY_ALLOWED": "false", "STRIPE_API_BASE": "http://127.0.0.1:9"}, "E001"),
        ({"SANDBOX_GATEWAY_ALLOWED": "false", "FAULT_POINT": "kill after id stored"}, "E002"),
    ],
    [({"SANDBOX_GATEWAY_ALLOWED": "false", "STRIPE_API_BASE": ""}, "E005")],
]


@pytest.mark.parametrize("costly", COSTLY, ids=["each", "in earnest", "at Stripe"])
def test_settings_that_would_cost_money_are_refused(
    costly: list[tuple[dict[str, str], str]],
) -> None:
    environment = {name: value for each, _ in costly for name, value in each.items()}

    result = manage("check", **environment)

    assert result.returncode == 1
    assert [found for _, found in costly if f"payments.{found}" not in result.stderr] == []


def test_mail_that_would_reach_nobody_is_warned_of_before_deploying() -> None:
    complete = {
        "EMAIL_URL": "smtp+tls://shop:secret@mail.example:587",
        "DEFAULT_FROM_EMAIL": "Shop <shop@shop.example>",
        "SHOP_URL": "https://shop.example",
    }
    reaches_nobody = {
        "EMAIL_URL": "consolemail://",
        "DEFAULT_FROM_EMAIL": "Shop <shop@localhost>",
        "SHOP_URL": "",
    }

    fine = manage("check", "--deploy", **complete).stderr
    warned = manage("check", "--deploy", **reaches_nobody).stderr

    for check_id in ("orders.W001", "orders.W002", "orders.W003"):
        assert check_id not in fine
        assert check_id in warned


def test_limits_are_on_unless_they_are_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["LIMIT_PLACING", "LIMIT_DECLINES", "LIMIT_LOOKUP", "LIMIT_CODES", "LIMIT_API"]
    for name in names:
        monkeypatch.delenv(name)
    told = f"from django.conf import settings; print([len(getattr(settings, n)) for n in {names}])"

    limited = manage("shell", "-v0", "-c", told)
    partly = manage("shell", "-v0", "-c", told, LIMIT_DECLINES="", LIMIT_LOOKUP="session 5/10m")

    assert limited.stdout.strip() == "[4, 3, 3, 4, 3]"
    assert partly.stdout.strip() == "[4, 0, 1, 4, 3]"


def test_proxy_that_is_not_counted_is_warned_of_before_deploying() -> None:
    behind = {"TRUST_X_FORWARDED_PROTO": "true", "LIMIT_PLACING": "address 120/10m"}

    assert "orders.W004" in manage("check", "--deploy", **behind).stderr
    for fine in ({"TRUSTED_PROXY_COUNT": "1"}, {"LIMIT_PLACING": "session 20/10m"}):
        assert "orders.W004" not in manage("check", "--deploy", **behind | fine).stderr


def test_mailer_does_not_start_without_an_address_for_its_links() -> None:
    result = manage("run_mailer", SHOP_URL="")

    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: SHOP_URL is not set")


def test_currency_must_exist() -> None:
    result = manage("check", SHOP_CURRENCY="EURO")

    assert result.returncode == 1
    assert "orders.E001" in result.stderr


def test_country_must_exist() -> None:
    result = manage("check", SHOP_COUNTRY="ZZ")

    assert result.returncode == 1
    assert "orders.E005" in result.stderr


def test_mail_server_is_told_to_django_as_each_release_has_it() -> None:
    url = Env.email_url_config("smtp+tls://shop:secret@mail.example:587")

    before = mail_settings(url, timeout=10, mailers=False)
    since = mail_settings(url, timeout=10, mailers=True)

    told = [before[name] for name in ("EMAIL_HOST", "EMAIL_USE_TLS", "EMAIL_TIMEOUT")]
    assert told == ["mail.example", True, 10]
    assert since["MAILERS"]["default"] == {
        "BACKEND": "django.core.mail.backends.smtp.EmailBackend",
        "OPTIONS": {
            "host": "mail.example",
            "port": 587,
            "username": "shop",
            "password": "secret",
            "use_tls": True,
            "use_ssl": False,
            "timeout": 10,
        },
    }


def test_mails_that_are_printed_need_no_options() -> None:
    printed = mail_settings(Env.email_url_config("consolemail://"), timeout=10, mailers=True)

    assert printed["MAILERS"]["default"]["OPTIONS"] == {}
