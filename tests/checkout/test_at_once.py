"""Two requests at once, outside of what a purchase promises: pressed twice, sent again by a proxy,
or from two tabs. Both do what was asked, once, and both are told the same."""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.urls import reverse
from django.utils.http import urlsafe_base64_encode

from checkout.catalogue.models import Product
from checkout.models import Cart, CartLine
from checkout.ordered_before import note_order_was_looked_at, signed_answer
from checkout.orders.links import link_path
from checkout.orders.mail.account import sign_up_token
from checkout.orders.models import Mail, Order, OrderEvent, OutboxMessage
from checkout.runtime.clock import database_now
from checkout.sessions import SessionStore, merged
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.shopper import Answer, InProcess, Shopper, read_form

EMAIL, PASSWORD = "ada@example.com", "quill and parchment"
ROUNDS = [*range(2), *at_length(2, 3)]


def at_once(acts: Sequence[Callable[[], Answer]]) -> list[Answer]:
    together = threading.Barrier(len(acts))

    def run(act: Callable[[], Answer]) -> Answer:
        try:
            connection.ensure_connection()
            together.wait(timeout=20)
            return act()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(acts)) as pool:
        return [each.result() for each in [pool.submit(run, act) for act in acts]]


def same_browser(shopper: Shopper) -> InProcess:
    """Another request with the cookies that the browser has now."""
    assert isinstance(shopper.web, InProcess)
    other = InProcess()
    other.client.raise_request_exception = False
    for name, cookie in shopper.web.client.cookies.items():
        other.client.cookies[name] = cookie.value
    return other


def twice(shopper: Shopper, path: str, form: dict[str, str]) -> list[tuple[Answer, InProcess]]:
    browsers = [same_browser(shopper), same_browser(shopper)]
    answers = at_once([partial(browser.post, path, form) for browser in browsers])
    return list(zip(answers, browsers, strict=True))


def form_of(shopper: Shopper, page: str, action: str = "") -> dict[str, str]:
    return read_form(shopper.web.get(page).text, action or page)


def new_shopper() -> Shopper:
    return Shopper(InProcess())


def sign_up_form(shopper: Shopper) -> tuple[str, dict[str, str]]:
    """Behind the link in the mail."""
    path = reverse("sign_up_new", args=[sign_up_token(EMAIL, "")])
    form = read_form(shopper.web.get(path).text, path)
    assert "csrfmiddlewaretoken" in form
    return path, form | {"password": PASSWORD}


@pytest.mark.parametrize("n", ROUNDS)
def test_sign_up_that_is_pressed_twice_signs_in_both_times(shelf: list[Product], n: int) -> None:
    shopper = new_shopper()
    shopper.add_to_cart("SKU-01")
    path, form = sign_up_form(shopper)

    for answer, browser in twice(shopper, path, form):
        assert (answer.status, answer.location) == (303, "/account/")
        assert browser.get("/account/").status == 200
        assert "Notebook 01" in browser.get("/cart/").words
    assert User.objects.count() == 1


def test_sign_up_that_is_sent_again_later_signs_in(shopper: Shopper) -> None:
    path, form = sign_up_form(shopper)
    again, other = same_browser(shopper), same_browser(shopper)

    assert shopper.web.post(path, form).status == 303
    assert again.post(path, form).status == 303

    assert other.post(path, form | {"password": "another parchment"}).status == 409
    assert other.get("/account/").status == 302
    assert User.objects.count() == 1


@pytest.mark.parametrize("n", ROUNDS)
def test_sign_in_that_is_pressed_twice_keeps_the_cart_both_times(
    shelf: list[Product], n: int
) -> None:
    User.objects.create_user(EMAIL, EMAIL, PASSWORD)
    shopper = new_shopper()
    shopper.add_to_cart("SKU-01")
    form = form_of(shopper, "/account/sign-in/") | {"username": EMAIL, "password": PASSWORD}

    for answer, browser in twice(shopper, "/account/sign-in/", form):
        assert answer.status == 302
        assert browser.get("/account/").status == 200
        assert "Notebook 01" in browser.get("/cart/").words


def test_old_key_of_a_session_holds_nothing_of_the_account_and_ends_soon(shopper: Shopper) -> None:
    User.objects.create_user(EMAIL, EMAIL, PASSWORD)
    shopper.add_to_cart("SKU-01")
    before = same_browser(shopper)
    form = form_of(shopper, "/account/sign-in/") | {"username": EMAIL, "password": PASSWORD}

    assert shopper.web.post("/account/sign-in/", form).status == 302

    assert before.get("/account/").status == 302
    old = Session.objects.get(pk=before.client.cookies["sessionid"].value)
    assert old.expire_date - database_now() < timedelta(seconds=11)
    # Out of a signed-in session nothing stays.
    signed_in = SessionStore(old.session_key)
    signed_in["_auth_user_id"] = "1"
    signed_in.save()
    signed_in.cycle_key()
    assert not Session.objects.filter(pk=old.session_key).exists()


@pytest.mark.parametrize("has_session", [False, True])
@pytest.mark.parametrize("n", ROUNDS)
def test_first_articles_at_once_are_in_one_cart(
    shelf: list[Product], n: int, has_session: bool
) -> None:
    shopper = new_shopper()
    if has_session:  # of an order before
        shopper.buy("SKU-03")
    form = form_of(shopper, "/", "/cart/add/")
    browsers = [same_browser(shopper), same_browser(shopper)]

    at_once(
        [
            partial(browser.post, "/cart/add/", form | {"sku": sku})
            for browser, sku in zip(browsers, ["SKU-01", "SKU-02"], strict=True)
        ]
    )

    assert Cart.objects.filter(closed_at=None).count() == 1
    for browser in browsers:
        words = browser.get("/cart/").words
        assert "Notebook 01" in words
        assert "Notebook 02" in words
        assert Shopper(browser).open_checkout()["token"]


def test_strangers_at_once_have_a_cart_each(shelf: list[Product]) -> None:
    """Also where a cache hands the page of one, with its cookie, to another: browsers differ."""
    shopper = new_shopper()
    form = form_of(shopper, "/", "/cart/add/") | {"sku": "SKU-01"}
    browsers = [same_browser(shopper), same_browser(shopper)]
    browsers[1].client.defaults["HTTP_USER_AGENT"] = "Another browser"

    at_once([partial(browser.post, "/cart/add/", form) for browser in browsers])
    new_shopper().add_to_cart("SKU-01")

    assert Cart.objects.count() == 3
    assert "no-store" in Client().get("/").headers["Cache-Control"]


@pytest.mark.parametrize("n", ROUNDS)
def test_article_that_is_added_by_one_press_twice_is_added_once(
    shelf: list[Product], n: int
) -> None:
    shopper = new_shopper()
    for sku in ("SKU-01", "SKU-02"):  # the first article, and one more
        form = form_of(shopper, f"/products/notebook-{sku[-2:]}/", "/cart/add/") | {"quantity": "2"}
        answers = twice(shopper, "/cart/add/", form)
        assert [answer.status for answer, _ in answers] == [303, 303]
        shopper.web = answers[-1][1]
    version = Cart.objects.get().version

    quantities = CartLine.objects.values_list("product__sku", "quantity")
    assert dict(quantities) == {"SKU-01": 2, "SKU-02": 2}
    assert version == 2  # a checkout page from between the two is still right


def test_article_is_added_again_from_the_page_as_it_is_shown_again(shopper: Shopper) -> None:
    for _ in range(2):
        form = form_of(shopper, "/products/notebook-01/", "/cart/add/")
        shopper.web.post("/cart/add/", form | {"quantity": "2"})
    shopper.web.post("/cart/add/", form | {"quantity": "1"})  # back, and another number
    del form["press"]  # a page of a release before
    for _ in range(2):
        shopper.web.post("/cart/add/", form | {"quantity": "3"})

    assert CartLine.objects.get().quantity == 2 + 2 + 1 + 3 + 3


@pytest.mark.parametrize("n", ROUNDS)
def test_session_keeps_what_two_requests_store_at_once(shelf: list[Product], n: int) -> None:
    """A link in an e-mail opens an order, while an article goes into the cart in another tab."""
    orders = [placed_order(shelf[0]), placed_order(shelf[1])]
    shopper = new_shopper()
    shopper.buy("SKU-03")
    form = form_of(shopper, "/", "/cart/add/") | {"sku": "SKU-02"}
    browsers = [same_browser(shopper) for _ in range(3)]

    at_once(
        [
            partial(browsers[0].get, link_path(orders[0])),
            partial(browsers[1].get, link_path(orders[1])),
            partial(browsers[2].post, "/cart/add/", form),
        ]
    )

    for order in (*orders, Order.objects.latest("id")):
        assert shopper.web.get(f"/orders/{order.reference}/").status == 200
    assert "Notebook 02" in shopper.web.get("/cart/").words


@pytest.mark.parametrize(
    ("stored", "ours", "result"),
    [
        ({"a": 1, "b": 2}, {"a": 3}, {"a": 3, "b": 2}),
        ({"a": 4}, {"a": 3}, {"a": 3}),
        ({"a": 4}, {"a": 1}, {"a": 4}),
        ({"a": 1, "b": 2}, {}, {"b": 2}),
        ({}, {"a": 1, "c": 3}, {"c": 3}),
        ({"a": 1, "new": 1}, {"a": 1, "new": 2}, {"a": 1, "new": 1}),
        ({"a": 1, "list": [0, 1]}, {"a": 1, "list": [0, 2]}, {"a": 1, "list": [0, 1, 2]}),
    ],
)
def test_session_is_merged_by_what_each_has_changed(
    stored: dict[str, object], ours: dict[str, object], result: dict[str, object]
) -> None:
    loaded: dict[str, object] = {"a": 1} | ({"list": [0]} if "list" in ours else {})

    assert merged(loaded, stored, ours) == result


def test_new_password_that_is_pressed_twice_is_set_and_both_are_signed_in(
    shelf: list[Product],
) -> None:
    user = User.objects.create_user(EMAIL, EMAIL, "the old parchment")
    uid = urlsafe_base64_encode(str(user.pk).encode())
    shopper = new_shopper()
    page = shopper.web.get(f"/account/password/{uid}/{default_token_generator.make_token(user)}/")
    path = page.location
    form = read_form(shopper.web.get(path).text, path)
    form |= {"new_password1": PASSWORD, "new_password2": PASSWORD}
    later, wrong = same_browser(shopper), same_browser(shopper)

    for answer, browser in twice(shopper, path, form):
        assert answer.status in {302, 303}
        assert answer.location == "/account/"
        assert browser.get("/account/").status == 200
    assert later.post(path, form).location == "/account/"
    refused = wrong.post(path, form | {"new_password1": "x" * 12, "new_password2": "x" * 12})
    assert refused.status == 200
    assert wrong.get("/account/").status == 302


def test_paying_again_that_is_pressed_twice_is_one_round(shelf: list[Product]) -> None:
    shopper = new_shopper()
    location = shopper.buy("SKU-01").location
    Order.objects.update(status="payment_failed")
    form = form_of(shopper, location, f"{location}pay/") | {"payment_method": "pm_card_visa"}

    answers = twice(shopper, f"{location}pay/", form)

    assert [answer.location for answer, _ in answers] == [location] * 2
    assert Order.objects.get().payment_round == 2


def test_link_that_is_asked_for_twice_is_one_mail(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    shopper = new_shopper()
    form = form_of(shopper, "/orders/find/") | {"number": order.number, "email": order.email}

    answers = twice(shopper, "/orders/find/", form)

    assert [answer.location for answer, _ in answers] == ["/orders/find/sent/"] * 2
    assert Mail.objects.filter(kind=Mail.Kind.LINK).count() <= 1


def test_question_about_the_same_goods_that_is_answered_twice_is_noted_once(
    shelf: list[Product],
) -> None:
    order = placed_order(shelf[0])
    assert signed_answer(order, order.checkout_id)

    def note() -> Answer:
        note_order_was_looked_at(order, now=database_now())
        return Answer(200, "", "")

    at_once([note] * 4)

    assert order.events.filter(kind=OrderEvent.Kind.TWIN_SEEN).count() == 1


@pytest.mark.parametrize("action", ["retry", "cancel"])
def test_act_of_staff_that_is_pressed_twice_is_one(shelf: list[Product], action: str) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=database_now())
    Order.objects.update(status="action_required")
    staff = Shopper(InProcess())
    assert isinstance(staff.web, InProcess)
    staff.web.client.force_login(User.objects.create_superuser("staff"))
    path = f"/admin/orders/order/{order.pk}/{action}/"
    form = read_form(staff.web.get(path).text, path) | {"why": "The customer has called"}

    answers = twice(staff, path, form)

    assert [answer.status for answer, _ in answers] == [302, 302]
    assert order.events.filter(explanation="The customer has called").count() == 1
    assert OutboxMessage.objects.filter(published_at=None).count() == 1


def test_session_that_was_ended_meanwhile_says_so(shopper: Shopper) -> None:
    form = form_of(shopper, "/", "/cart/add/") | {"sku": "SKU-01"}
    shopper.buy("SKU-02")
    assert isinstance(shopper.web, InProcess)

    def sign_out(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        result = execute(sql, params, many, context)
        if "checkout_cartline" in str(sql) and "INSERT" in str(sql):
            with connection.cursor() as cursor:
                cursor.execute("DELETE FROM django_session")
        return result

    with connection.execute_wrapper(sign_out):
        answer = shopper.web.post("/cart/add/", form)

    assert answer.status == 400
    assert "You signed in or out in another tab" in answer.words
    assert "Nothing was charged" in answer.words
