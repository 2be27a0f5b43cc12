"""No web request waits for the mail server: whatever is written goes out by the mailer."""

import ast
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from environ import Env
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import AccountMail, Mail
from config.mail import mail_settings
from tests.support.shopper import InProcess, Shopper, read_form

ROOT = Path(__file__).resolve().parents[2]

# What hands a mail to a server, at once.
SENDERS = {"send_mail", "send_mass_mail", "mail_admins", "mail_managers", "send_messages"}

# The mailer, and nothing else.
MAY_SEND = {"checkout/orders/mail/send.py"}


@pytest.fixture
def hanging(settings: Settings) -> Iterator[socket.socket]:
    """Takes connections and never says a word."""
    with socket.create_server(("127.0.0.1", 0), backlog=16) as server:
        server.settimeout(0.2)
        url = Env.email_url_config(f"smtp://127.0.0.1:{server.getsockname()[1]}")
        for name, value in mail_settings(url, timeout=10).items():
            setattr(settings, name, value)
        yield server


def connections_to(server: socket.socket) -> int:
    count = 0
    while True:
        try:
            server.accept()[0].close()
        except TimeoutError:
            return count
        count += 1


def test_pages_that_write_a_mail_never_ask_the_server(
    shelf: list[Product], hanging: socket.socket
) -> None:
    User.objects.create_user("ada@example.com", "ada@example.com", "quill and parchment")
    shopper = Shopper(InProcess())

    for path, typed in [
        ("/account/password/", {"email": "ada@example.com"}),
        ("/account/sign-up/", {"email": "new@example.com"}),
        ("/orders/find/", {"number": "100000-22", "email": "ada@example.com"}),
    ]:
        form = read_form(shopper.web.get(path).text, path)
        assert shopper.web.post(path, form | typed).status == 303
    assert shopper.buy("SKU-01").status == 303
    assert shopper.web.get("/").status == 200

    assert connections_to(hanging) == 0
    assert AccountMail.objects.count() == 3
    assert Mail.objects.count() == 1


def sends_mail(path: Path) -> bool:
    """By a name that sends, by the `send` of a message, or by Django's form, whose `save` does."""
    text = path.read_text()
    for node in ast.walk(ast.parse(text)) if any(name in text for name in SENDERS) else ():
        if isinstance(node, ast.Call):
            name = getattr(node.func, "attr", "") or getattr(node.func, "id", "")
            if name in SENDERS:
                return True
    return False


def test_only_the_mailer_hands_mails_to_a_server() -> None:
    found = {
        str(path.relative_to(ROOT))
        for package in ("checkout", "payments", "config")
        for path in (ROOT / package).rglob("*.py")
        if sends_mail(path)
    }

    assert found == MAY_SEND


def test_no_log_line_is_mailed(settings: Settings) -> None:
    assert "AdminEmailHandler" not in str(settings.LOGGING)
