"""Accounts are optional, and change nothing about a purchase that is under way."""

import re
import time
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import AccountMail, Order
from checkout.views.account import ORDERS_ON_A_PAGE
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.shopper import Answer, InProcess, Shopper, read_form
from tests.support.till import Till, assert_one_order_one_charge

EMAIL = "ada@example.com"
PASSWORD = "quill and parchment"


@pytest.fixture
def ada(shelf: list[Product]) -> User:
    return User.objects.create_user(EMAIL, EMAIL, PASSWORD)


def send(shopper: Shopper, path: str, typed: dict[str, str], *, page: str = "") -> Answer:
    """Fill in the form of a page that posts to itself."""
    form = read_form(shopper.web.get(page or path).text, path)
    return shopper.web.post(path, form | typed)


def sign_in(shopper: Shopper, *, password: str = PASSWORD, page: str = "") -> Answer:
    typed = {"username": "Ada@Example.com ", "password": password}
    return send(shopper, "/account/sign-in/", typed, page=page)


def link_in_the_last_mail() -> str:
    send_mails()
    link = re.search(r"/account/(?:sign-up|password)/\S+/", str(mail.outbox[-1].body))
    assert link
    return link[0]


def sign_up(shopper: Shopper, email: str, *, page: str = "") -> Answer:
    return send(shopper, "/account/sign-up/", {"email": email}, page=page)


def choose(shopper: Shopper, link: str, password: str = PASSWORD) -> Answer:
    form = read_form(shopper.web.get(link).text, link)
    return shopper.web.post(link, form | {"password": password})


def test_signing_up_keeps_the_cart_and_leads_on(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")

    asked = sign_up(shopper, "Ada@Example.com", page="/account/sign-up/?next=/checkout/")
    answer = choose(shopper, link_in_the_last_mail())

    assert (asked.status, asked.location) == (303, "/account/sign-up/sent/")
    assert (answer.status, answer.location) == (303, "/checkout/")
    page = shopper.web.get("/checkout/")
    assert "Notebook 01" in page.words
    assert f"Signed in as {EMAIL}" in page.words
    assert read_form(page.text, "/checkout/")["email"] == EMAIL


@pytest.mark.parametrize(
    ("email", "says"), [("", "Which e-mail address?"), ("ada", "something is missing in it")]
)
def test_account_is_not_made_for_this(shopper: Shopper, email: str, says: str) -> None:
    answer = sign_up(shopper, email)

    assert answer.status == 422
    assert says in answer.words
    assert not AccountMail.objects.exists()


@pytest.mark.parametrize(
    ("password", "says"),
    [
        ("", "Choose a password."),
        ("short", "too short"),
        ("password1", "too common"),
        ("ada@example.com", "too similar"),
    ],
)
def test_password_of_a_new_account_is_not_this(shopper: Shopper, password: str, says: str) -> None:
    sign_up(shopper, EMAIL)

    answer = choose(shopper, link_in_the_last_mail(), password)

    assert answer.status == 422
    assert says in answer.words
    assert not User.objects.exists()


def test_nobody_has_an_account_by_an_address_that_is_not_theirs(shopper: Shopper) -> None:
    sign_up(shopper, EMAIL)

    assert not User.objects.exists()
    assert mail.outbox == []


def test_signing_up_answers_the_same_for_an_address_that_has_an_account(
    shopper: Shopper, ada: User
) -> None:
    with CaptureQueriesContext(connection) as known:
        first = sign_up(shopper, EMAIL.upper())
    with CaptureQueriesContext(connection) as unknown:
        second = sign_up(shopper, "nobody@example.com")
    send_mails()

    assert (first.status, first.location) == (second.status, second.location)
    assert shape(known) == shape(unknown)
    assert User.objects.count() == 1
    told = {message.to[0]: str(message.body) for message in mail.outbox}
    assert "It has one already" in told[EMAIL]
    assert "choose a password here" in told["nobody@example.com"]


def shape(queries: CaptureQueriesContext) -> list[str]:
    """Which statements ran, without what they were given."""
    said = [re.sub(r"'[^']*'|\d+", "?", query["sql"]) for query in queries.captured_queries]
    return [each for each in said if "orders_limitcount" not in each]


def test_forgetting_a_password_answers_the_same_in_the_same_statements(
    shopper: Shopper, ada: User
) -> None:
    with CaptureQueriesContext(connection) as known:
        first = send(shopper, "/account/password/", {"email": EMAIL})
    with CaptureQueriesContext(connection) as unknown:
        second = send(shopper, "/account/password/", {"email": "nobody@example.com"})

    assert (first.status, first.location) == (second.status, second.location)
    assert shape(known) == shape(unknown)
    assert not any("auth_user" in statement for statement in shape(known))


def test_link_of_a_new_account_is_good_once_and_for_a_day(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_up(shopper, EMAIL)
    link = link_in_the_last_mail()
    elsewhere = Shopper(InProcess())

    assert choose(elsewhere, link).location == "/account/"
    again = choose(Shopper(InProcess()), link, "another long enough")
    assert again.status == 409
    assert "made already" in again.words
    assert sign_in(Shopper(InProcess())).location == "/account/"
    assert elsewhere.web.get(f"{link[:-3]}/").status == 404
    day = time.time() + 90_000
    monkeypatch.setattr("django.core.signing.time.time", lambda: day)
    too_old = Shopper(InProcess()).web.get(link)
    assert (too_old.status, "too old" in too_old.words) == (404, True)


@pytest.mark.parametrize("path", ["/account/sign-up/", "/account/password/"])
def test_one_mail_in_ten_minutes_however_often_it_is_asked_for(
    shopper: Shopper, ada: User, settings: Settings, path: str
) -> None:
    settings.LIMIT_LOOKUP = read_rates("address 100/10m")
    for email in (EMAIL, EMAIL.upper(), EMAIL, "Ada@example.com"):
        send(shopper, path, {"email": email})

    send_mails()

    assert len(mail.outbox) <= 2  # the ten minutes may end in between
    assert {message.to[0] for message in mail.outbox} == {EMAIL}


def test_rows_of_what_was_asked_for_are_deleted_after_a_day(shopper: Shopper) -> None:
    sign_up(shopper, EMAIL)
    send_mails()
    AccountMail.objects.update(created_at=timezone.now() - timedelta(days=2))
    sign_up(shopper, "other@example.com")

    send_mails()

    assert [row.email for row in AccountMail.objects.all()] == ["other@example.com"]


def test_no_token_of_a_link_is_stored(shopper: Shopper, ada: User) -> None:
    send(shopper, "/account/password/", {"email": EMAIL})
    link = link_in_the_last_mail()

    token = link.rstrip("/").rpartition("/")[2]
    assert token not in str(list(AccountMail.objects.values()))


def test_signing_in_and_out(shopper: Shopper, ada: User) -> None:
    assert shopper.web.get("/account/").location == "/account/sign-in/?next=/account/"
    assert "no account with this e-mail address and password" in (
        sign_in(shopper, password="wrong").words
    )

    assert sign_in(shopper).location == "/account/"
    assert "No order was placed while you were signed in" in shopper.web.get("/account/").words

    send(shopper, "/account/sign-out/", {}, page="/account/")
    assert shopper.web.get("/account/").status == 302


@pytest.mark.usefixtures("at_noon")
@pytest.mark.parametrize("path", ["/account/sign-in/", "/account/sign-up/", "/account/password/"])
def test_trying_addresses_and_passwords_is_slowed_down(
    shopper: Shopper, shelf: list[Product], settings: Settings, path: str
) -> None:
    settings.LIMIT_LOOKUP = read_rates("address 3/10m")

    answers = [send(shopper, path, {"email": EMAIL, "username": EMAIL}) for _ in range(5)]

    assert [answer.status == 429 for answer in answers] == [False, False, False, True, True]
    assert shopper.web.get(path).status == 200


def test_nobody_is_led_to_another_site(shopper: Shopper, ada: User) -> None:
    evil = {"next": "https://evil.example/"}
    typed = {"username": EMAIL, "password": PASSWORD}

    assert send(shopper, "/account/sign-in/", typed | evil).location == "/account/"
    send(Shopper(InProcess()), "/account/sign-up/", {"email": "new@example.com"} | evil)
    assert choose(Shopper(InProcess()), link_in_the_last_mail()).location == "/account/"


def test_signing_in_during_the_checkout_keeps_cart_and_token(
    shopper: Shopper, ada: User, till: Till
) -> None:
    shopper.add_to_cart("SKU-01")
    opened_before = shopper.open_checkout()

    answer = sign_in(shopper, page="/account/sign-in/?next=/checkout/")

    assert answer.location == "/checkout/"
    # The check against forged requests has a new secret now, so the form of before comes back
    # once, with everything in it.
    again = shopper.submit(opened_before)
    assert again.status == 403
    form = read_form(again.text, "/checkout/")
    assert form["token"] == opened_before["token"]
    assert shopper.submit(form).status == 303
    assert assert_one_order_one_charge(till).customer == ada


def test_address_of_the_last_order_need_not_be_typed_again(shopper: Shopper, ada: User) -> None:
    sign_in(shopper)
    shopper.buy("SKU-01")

    shopper.add_to_cart("SKU-02")
    form = read_form(shopper.web.get("/checkout/").text, "/checkout/")

    known = {name: value for name, value in shopper.typed.items() if name != "payment_method"}
    assert {name: form[name] for name in known} == known


def test_guest_is_not_told_who_lives_where(shopper: Shopper, ada: User) -> None:
    sign_in(shopper)
    shopper.buy("SKU-01")
    guest = Shopper(InProcess())
    guest.add_to_cart("SKU-01")

    form = read_form(guest.web.get("/checkout/").text, "/checkout/")

    assert (form["email"], form["address"]) == ("", "")


def test_orders_of_the_account_open_on_any_device(shopper: Shopper, ada: User) -> None:
    sign_in(shopper)
    shopper.buy("SKU-01")
    order = Order.objects.get()
    elsewhere, stranger = Shopper(InProcess()), Shopper(InProcess())
    User.objects.create_user("eve", password=PASSWORD)
    assert isinstance(stranger.web, InProcess)
    stranger.web.client.login(username="eve", password=PASSWORD)

    sign_in(elsewhere)

    assert order.number in elsewhere.web.get("/account/").words
    assert elsewhere.web.get(f"/orders/{order.reference}/").status == 200
    assert order.number not in stranger.web.get("/account/").words
    assert stranger.web.get(f"/orders/{order.reference}/").status == 404
    assert stranger.web.get(f"/account/?before={order.reference}").status == 404


def test_history_goes_on_page_by_page(shopper: Shopper, shelf: list[Product], ada: User) -> None:
    numbers = [placed_order(shelf[0]).number for _ in range(ORDERS_ON_A_PAGE + 3)]
    Order.objects.update(customer=ada, placed_at=timezone.now())
    sign_in(shopper)

    first = shopper.web.get("/account/")
    older = re.search(r"\?before=[\w-]{22}", first.text)
    assert older
    second = shopper.web.get(f"/account/{older[0]}")

    shown = [re.findall(r"Order (\d+-\d\d)", page.words) for page in (first, second)]
    assert shown == [numbers[:2:-1], numbers[2::-1]]
    assert "Older orders" not in second.words


def test_forgotten_password_is_chosen_anew_by_mail(shopper: Shopper, ada: User) -> None:
    known = send(shopper, "/account/password/", {"email": EMAIL})
    unknown = send(shopper, "/account/password/", {"email": "nobody@example.com"})

    assert (known.status, known.location) == (unknown.status, unknown.location)
    link = link_in_the_last_mail()
    assert [message.to for message in mail.outbox] == [[EMAIL]]
    page = shopper.web.get(link).location  # without the secret in its address
    new = {"new_password1": "vellum and ink", "new_password2": "vellum and ink"}
    assert send(shopper, page, new).location == "/account/"
    assert shopper.web.get("/account/").status == 200
    assert sign_in(Shopper(InProcess()), password="vellum and ink").location == "/account/"
    assert "used already" in Shopper(InProcess()).web.get(link).words
