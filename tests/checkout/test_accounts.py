"""Accounts are optional, and change nothing about a purchase that is under way."""

import re

import pytest
from django.contrib.auth.models import User
from django.core import mail
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.rates import read_rates
from checkout.views.account import ORDERS_ON_A_PAGE
from tests.orders.factories import placed_order
from tests.shopper import Answer, InProcess, Shopper, read_form
from tests.till import Till, assert_one_order_one_charge

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


def test_signing_up_keeps_the_cart_and_leads_on(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")

    answer = send(
        shopper,
        "/account/sign-up/",
        {"email": "Ada@Example.com", "password": PASSWORD},
        page="/account/sign-up/?next=/checkout/",
    )

    assert (answer.status, answer.location) == (303, "/checkout/")
    page = shopper.web.get("/checkout/")
    assert "Notebook 01" in page.words
    assert f"Signed in as {EMAIL}" in page.words
    assert read_form(page.text, "/checkout/")["email"] == EMAIL


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        ({"email": "", "password": PASSWORD}, "Which e-mail address?"),
        ({"email": "ada", "password": PASSWORD}, "something is missing in it"),
        ({"email": EMAIL, "password": ""}, "Choose a password."),
        ({"email": EMAIL, "password": "short"}, "too short"),
        ({"email": EMAIL, "password": "password1"}, "too common"),
        ({"email": EMAIL, "password": "ada@example.com"}, "too similar"),
    ],
)
def test_account_is_not_made_of_this(shopper: Shopper, typed: dict[str, str], says: str) -> None:
    answer = send(shopper, "/account/sign-up/", typed)

    assert answer.status == 422
    assert says in answer.words
    assert not User.objects.exists()


def test_address_has_one_account(shopper: Shopper, ada: User) -> None:
    answer = send(shopper, "/account/sign-up/", {"email": EMAIL.upper(), "password": PASSWORD})

    assert answer.status == 422
    assert "Sign in instead" in answer.words
    assert User.objects.count() == 1


def test_signing_in_and_out(shopper: Shopper, ada: User) -> None:
    assert shopper.web.get("/account/").location == "/account/sign-in/?next=/account/"
    assert "no account with this e-mail address and password" in (
        sign_in(shopper, password="wrong").words
    )

    assert sign_in(shopper).location == "/account/"
    assert "No order was placed while you were signed in" in shopper.web.get("/account/").words

    send(shopper, "/account/sign-out/", {}, page="/account/")
    assert shopper.web.get("/account/").status == 302


@pytest.mark.parametrize("path", ["/account/sign-in/", "/account/sign-up/", "/account/password/"])
def test_trying_addresses_and_passwords_is_slowed_down(
    shopper: Shopper, shelf: list[Product], settings: Settings, path: str
) -> None:
    settings.LIMIT_LOOKUP = read_rates("address 3/10m")

    answers = [send(shopper, path, {"email": EMAIL, "username": EMAIL}) for _ in range(5)]

    assert [answer.status == 429 for answer in answers] == [False, False, False, True, True]
    assert shopper.web.get(path).status == 200


@pytest.mark.parametrize("path", ["/account/sign-in/", "/account/sign-up/"])
def test_nobody_is_led_to_another_site(shopper: Shopper, ada: User, path: str) -> None:
    typed = {"username": EMAIL, "email": "new@example.com", "password": PASSWORD}

    answer = send(shopper, path, typed | {"next": "https://evil.example/"})

    assert answer.location == "/account/"


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
    assert [message.to for message in mail.outbox] == [[EMAIL]]
    link = re.search(r"/account/password/\S+/", str(mail.outbox[0].body))
    assert link
    page = shopper.web.get(link[0]).location  # without the secret in its address
    new = {"new_password1": "vellum and ink", "new_password2": "vellum and ink"}
    assert send(shopper, page, new).location == "/account/"
    assert shopper.web.get("/account/").status == 200
    assert sign_in(Shopper(InProcess()), password="vellum and ink").location == "/account/"
    assert "used already" in Shopper(InProcess()).web.get(link[0]).words
