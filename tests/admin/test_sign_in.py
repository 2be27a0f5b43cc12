"""Who gets into the admin: a password, a code from an app, and not by trying."""

import io
import re
from binascii import unhexlify

import pytest
import requests
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice
from pytest_django.fixtures import Settings

from tests.support.processes import ShopProcesses
from tests.support.shopper import read_form

LOGIN = "/admin/login/?next=/admin/"
PASSWORD = "a long one for the desk"


@pytest.fixture
def staff(db: None) -> User:
    return User.objects.create_superuser("grace", password=PASSWORD)


def sign_in(password: str, username: str = "grace", client: Client | None = None) -> int:
    client = client or Client()
    return client.post(LOGIN, {"username": username, "password": password}).status_code


def test_ten_wrong_passwords_and_the_right_one_waits_too(staff: User, settings: Settings) -> None:
    settings.AXES_ENABLED = True
    assert sign_in(PASSWORD) == 302

    for _ in range(10):
        sign_in("a wrong one")
    answer = Client().post(LOGIN, {"username": "grace", "password": PASSWORD})

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "900"
    assert "Please wait a moment" in answer.content.decode()


def test_somebody_elses_mistakes_lock_out_nobody_else(staff: User, settings: Settings) -> None:
    settings.AXES_ENABLED = True
    for _ in range(10):
        Client(REMOTE_ADDR="203.0.113.9").post(LOGIN, {"username": "grace", "password": "x"})

    assert sign_in(PASSWORD) == 302  # from elsewhere
    User.objects.create_superuser("ada", password=PASSWORD)
    answer = Client(REMOTE_ADDR="203.0.113.9").post(
        LOGIN, {"username": "ada", "password": PASSWORD}
    )
    assert answer.status_code == 302


def test_mistakes_leave_no_name_in_the_logs(
    staff: User, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.AXES_ENABLED = True
    for _ in range(11):
        sign_in("a wrong one", username="grace@shop.example")

    assert "grace" not in caplog.text


def test_shoppers_are_locked_out_in_the_same_way(staff: User, settings: Settings) -> None:
    settings.AXES_ENABLED = True
    settings.LIMIT_LOOKUP = {}
    client = Client()
    typed = {"username": "grace", "password": "a wrong one"}
    for _ in range(10):
        client.post("/account/sign-in/", typed)

    answer = client.post("/account/sign-in/", typed | {"password": PASSWORD})

    assert answer.status_code == 429


def test_second_factor_is_asked_for_where_the_shop_wants_it(
    staff: User, processes: ShopProcesses
) -> None:
    web = processes.web(STAFF_SECOND_FACTOR="true", SIGN_IN_LOCKOUT="true")
    device = TOTPDevice.objects.create(user=staff, name="app")

    def answer_to(**typed: str) -> int:
        browser = requests.Session()
        page = browser.get(web.url + LOGIN, timeout=30).text
        fields = read_form(page, LOGIN) | {"username": "grace", "password": PASSWORD}
        sent = browser.post(web.url + LOGIN, fields | typed, timeout=30, allow_redirects=False)
        assert sent.status_code in {200, 302}, sent.text
        return browser.get(f"{web.url}/admin/", timeout=30, allow_redirects=False).status_code

    assert answer_to() == 302  # to signing in, again
    assert answer_to(otp_token="000000") == 302
    TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    assert answer_to(otp_token=f"{totp(unhexlify(device.key)):06d}") == 200


def test_device_is_shown_once_and_its_codes_are_good(staff: User) -> None:
    printed = io.StringIO()
    call_command("add_staff_device", "grace", stdout=printed, stderr=io.StringIO())
    device = TOTPDevice.objects.get(user=staff)

    assert re.match(r"otpauth://totp/.*secret=[A-Z2-7]+", printed.getvalue())
    assert device.verify_token(totp(unhexlify(device.key)))
    with pytest.raises(CommandError, match="--replace"):
        call_command("add_staff_device", "grace")

    call_command("add_staff_device", "grace", "--replace", stdout=printed, stderr=io.StringIO())

    assert TOTPDevice.objects.get(user=staff).key != device.key


def test_device_is_for_staff_alone(db: None) -> None:
    User.objects.create_user("shopper", password=PASSWORD)
    with pytest.raises(CommandError, match="nobody of that name"):
        call_command("add_staff_device", "shopper")
