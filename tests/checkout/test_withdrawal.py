"""The two pages by which a customer withdraws, and what they tell a stranger: nothing."""

from functools import partial
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import Mail, Order, Withdrawal
from tests.checkout.test_at_once import at_once, same_browser
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.shopper import TYPED, Answer, InProcess, Shopper, read_form

PATH = "/withdrawal/"


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def typed_for(order: Order, **more: str) -> dict[str, str]:
    typed = {"number": order.number, "full_name": TYPED["full_name"], "email": TYPED["email"]}
    return typed | {"about": ""} | more


def fill_in(shopper: Shopper, typed: dict[str, str]) -> Answer:
    return shopper.web.post(PATH, read_form(shopper.web.get(PATH).text, PATH) | typed)


def second_step(shopper: Shopper, typed: dict[str, str]) -> dict[str, str]:
    page = fill_in(shopper, typed)
    assert page.status == 200
    return read_form(page.text, PATH)


def confirm(shopper: Shopper, typed: dict[str, str]) -> Answer:
    return shopper.web.post(PATH, second_step(shopper, typed))


def test_statement_is_shown_again_and_recorded_by_the_second_button(
    shopper: Shopper, order: Order
) -> None:
    page = fill_in(shopper, typed_for(order, about="the <b>globe</b>"))

    assert "Confirm withdrawal" in page.words
    assert order.number in page.words
    assert "the <b>globe</b>" in unescape(page.text)
    assert "<b>globe" not in page.text
    assert not Withdrawal.objects.exists()

    told = shopper.look(shopper.web.post(PATH, read_form(page.text, PATH)))
    send_mails()

    row = Withdrawal.objects.get()
    assert row.order == order
    assert row.language == "en"
    assert f"{row.stated_at:%H:%M:%S} UTC" in told.words
    assert order.mails.filter(kind=Mail.Kind.WITHDRAWN).count() == 1


def test_pressed_twice_and_reloaded_is_one_statement_with_one_page(
    shopper: Shopper, order: Order
) -> None:
    form = second_step(shopper, typed_for(order))

    answers = [shopper.web.post(PATH, form) for _ in range(3)]

    assert {answer.status for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    assert Withdrawal.objects.count() == 1


@pytest.mark.parametrize("email", ["ada@example.com", "eve@example.com"])
def test_pressed_twice_at_once_both_see_the_same_page(
    shopper: Shopper, order: Order, email: str
) -> None:
    form = second_step(shopper, typed_for(order, email=email))

    answers = at_once([partial(same_browser(shopper).post, PATH, form) for _ in range(4)])
    send_mails()

    assert {answer.status for answer in answers} == {303}
    assert len({answer.location for answer in answers}) == 1
    assert Withdrawal.objects.count() == 1


def test_mistake_keeps_what_was_typed(shopper: Shopper, order: Order) -> None:
    typed = typed_for(order, email="ada@example", about="the globe")

    page = fill_in(shopper, typed)

    assert page.status == 422
    assert "Please look at 1 field again" in page.words
    form = read_form(page.text, PATH)
    assert {name: form[name] for name in typed} == typed


def test_change_leads_back_to_the_filled_form(shopper: Shopper, order: Order) -> None:
    typed = typed_for(order, about="the globe")
    page = shopper.web.post(PATH, second_step(shopper, typed) | {"change": "1"})

    form = read_form(page.text, PATH)
    assert page.status == 200
    assert {name: form[name] for name in typed} == typed
    assert not Withdrawal.objects.exists()


@pytest.mark.parametrize("statement", ["", "x", "\x00", "eyJ9:1:2"])
def test_what_was_not_shown_is_not_recorded(shopper: Shopper, order: Order, statement: str) -> None:
    form = second_step(shopper, typed_for(order)) | {"statement": statement}

    answer = shopper.web.post(PATH, form)

    assert answer.status in {400, 422}
    assert not Withdrawal.objects.exists()


def test_number_that_cannot_be_one_is_said_and_taken(shopper: Shopper, order: Order) -> None:
    typed = typed_for(order, number="the red globe")
    page = fill_in(shopper, typed)

    assert "does not look like one of our order numbers" in page.words
    assert confirm(shopper, typed).status == 303
    assert Withdrawal.objects.get().number == "the red globe"


def test_stranger_learns_nothing(shopper: Shopper, order: Order) -> None:
    """Not by words, and not by the statements that the answer takes."""
    seen = []
    for email in ("ada@example.com", "eve@example.com"):
        form = second_step(shopper, typed_for(order, email=email))
        with CaptureQueriesContext(connection) as captured:
            answer = shopper.web.post(PATH, form)
        stamp = Withdrawal.objects.latest("id").stated_at
        page = shopper.look(answer).words.replace(f"{stamp:%H:%M:%S}", "TIME")
        seen.append((answer.status, page, len(captured)))

    assert seen[0] == seen[1]


def test_form_is_filled_in_for_whoever_may_see_the_order(
    shopper: Shopper, another_shopper: Shopper
) -> None:
    shopper.buy("SKU-01")
    order = Order.objects.get()
    path = f"{PATH}?order={order.reference}"
    page = shopper.web.get(f"/orders/{order.reference}/")
    assert f'href="{path}"' in page.text

    form = read_form(shopper.web.get(path).text, PATH)
    other = read_form(another_shopper.web.get(path).text, PATH)

    names = ("number", "full_name", "email")
    assert [form[name] for name in names] == [order.number, order.full_name, order.email]
    assert [other[name] for name in names] == ["", "", ""]
    for odd in ("%00", "x" * 500, "x" * 22):
        assert shopper.web.get(f"{PATH}?order={odd}").status in {200, 400}


def test_form_off_is_nowhere(shopper: Shopper, order: Order, settings: Settings) -> None:
    assert PATH in shopper.web.get("/").text
    form = second_step(shopper, typed_for(order))
    received = shopper.web.post(PATH, form).location
    settings.WITHDRAWAL_FORM = False
    shopper.buy("SKU-01")
    bought = Order.objects.latest("id")

    for page in ("/", f"/orders/{bought.reference}/"):
        assert PATH not in shopper.web.get(page).text
    assert shopper.web.get(PATH).status == 404
    assert shopper.web.get(received).status == 404
    assert shopper.web.post(PATH, form).status == 404


@pytest.mark.usefixtures("at_noon")
def test_put_off_keeps_the_statement_and_a_repeat_is_not_counted(
    shopper: Shopper, order: Order, settings: Settings
) -> None:
    settings.LIMIT_WITHDRAWALS = read_rates("address 1/10m")
    first = second_step(shopper, typed_for(order))
    assert [shopper.web.post(PATH, first).status for _ in range(3)] == [303] * 3

    page = shopper.web.post(PATH, second_step(shopper, typed_for(order, email="eve@example.com")))

    assert page.status == 429
    assert "Nothing was recorded yet" in page.words
    assert Withdrawal.objects.count() == 1
    settings.LIMIT_WITHDRAWALS = {}
    assert shopper.web.post(PATH, read_form(page.text, PATH)).status == 303
    assert Withdrawal.objects.count() == 2


def test_address_of_the_answer_cannot_be_made_up(shopper: Shopper) -> None:
    for made_up in ("x", "2026-11-29:abc", "IjIwMjYi:x"):
        assert shopper.web.get(f"/withdrawal/received/{made_up}/").status == 404


def test_withdrawing_in_german(shelf: list[Product], order: Order) -> None:
    web = InProcess()
    web.client = Client(enforce_csrf_checks=True, headers={"accept-language": "de"})
    shopper = Shopper(web)

    page = fill_in(shopper, typed_for(order))

    assert "Widerruf bestätigen" in page.words
    told = shopper.look(shopper.web.post(PATH, read_form(page.text, PATH)))
    assert "Wir haben Ihren Widerruf erhalten" in told.words
    assert Withdrawal.objects.get().language == "de"


def test_staff_who_may_see_orders_find_the_form_filled_in(order: Order) -> None:
    root = Client()
    root.force_login(User.objects.create_superuser("root"))

    page = root.get(f"{PATH}?order={order.reference}").content.decode()

    assert order.number in page
