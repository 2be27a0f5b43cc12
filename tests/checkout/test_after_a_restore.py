"""A shopper whose order a restored backup has lost still has its form, and presses again or reloads
the page: they are asked to look first, and nothing is placed by that press."""

import re
from datetime import timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.models import Cart
from checkout.orders.models import Order, Restore
from checkout.orders.restoring.restores import note_restore
from tests.support.backups import Backup, Takes
from tests.support.shopper import Shopper, read_form

ASKED = "Look first whether you have ordered this already"


def go_back_to(backup: Backup) -> None:
    backup.restore()
    note_restore(since=backup.taken_at, by="ada", now=timezone.now())


def test_press_that_is_repeated_places_no_second_order(shopper: Shopper, backed_up: Takes) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    backup = backed_up()
    assert shopper.submit(form).status == 303
    go_back_to(backup)

    answer = shopper.submit(form)

    assert (answer.status, Order.objects.count()) == (409, 0)
    assert ASKED in answer.words
    assert "Nothing was ordered or charged by this press" in answer.words
    assert "Ada Quillfeather" in answer.text  # what was typed is kept
    move_on()
    assert shopper.submit(read_form(answer.text, "/checkout/")).status == 303
    assert Order.objects.count() == 1


def move_on() -> None:
    """Tokens tell whole seconds. The form that came back is of one long after the restore."""
    Restore.objects.update(found_at=timezone.now() - timedelta(hours=1))


@pytest.mark.parametrize("asks", ["script", "button"])
def test_question_about_the_total_makes_no_new_form_of_it(
    shopper: Shopper, backed_up: Takes, asks: str
) -> None:
    """The page that was left open asks for its total when another country is chosen."""
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    backup = backed_up()
    assert shopper.submit(form).status == 303
    go_back_to(backup)

    path = "/checkout/total/" if asks == "script" else "/checkout/"
    total = shopper.web.post(path, form | ({} if asks == "script" else {"update_total": "1"}))
    answer = shopper.submit(form | {"token": token_in(total.text)})

    assert (answer.status, Order.objects.count()) == (409, 0)
    assert ASKED in answer.words


def token_in(text: str) -> str:
    [token] = re.findall(r'name="token"[^>]* value="([^"]*)"', text)
    return str(token)


def test_page_that_is_opened_anew_says_it_before_the_press(
    shopper: Shopper, backed_up: Takes
) -> None:
    shopper.add_to_cart("SKU-01")
    backup = backed_up()
    assert shopper.submit(shopper.open_checkout()).status == 303
    go_back_to(backup)

    page = shopper.web.get("/checkout/")
    assert ASKED in page.words
    assert "Otherwise order as usual" in page.words
    move_on()
    assert shopper.submit(shopper.open_checkout()).status == 303
    shopper.add_to_cart("SKU-02")
    assert ASKED not in shopper.web.get("/checkout/").words  # that cart is of after the restore


def test_page_says_it_for_a_week(shopper: Shopper, backed_up: Takes) -> None:
    shopper.add_to_cart("SKU-01")
    go_back_to(backed_up())
    Restore.objects.update(found_at=timezone.now() - timedelta(days=8))

    assert ASKED not in shopper.web.get("/checkout/").words


def test_press_of_a_cart_that_is_lost_too_is_asked_about(
    shopper: Shopper, backed_up: Takes
) -> None:
    shopper.buy("SKU-02")
    backup = backed_up()
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    assert shopper.submit(form).status == 303
    go_back_to(backup)

    answer = shopper.submit(form)

    assert (answer.status, Order.objects.count()) == (409, 1)
    assert ASKED in answer.words


def test_form_of_after_the_restore_is_as_good_as_ever(shopper: Shopper, backed_up: Takes) -> None:
    shopper.add_to_cart("SKU-01")
    go_back_to(backed_up())

    assert shopper.submit(shopper.open_checkout()).status == 303


def test_cart_that_was_changed_after_a_restore_is_told_as_that(
    shopper: Shopper, backed_up: Takes
) -> None:
    shopper.add_to_cart("SKU-01")
    go_back_to(backed_up())
    move_on()
    form = shopper.open_checkout()
    shopper.add_to_cart("SKU-02")

    assert "Your cart was changed in another tab" in shopper.submit(form).words


def test_form_of_an_order_that_is_here_leads_to_it(shopper: Shopper, backed_up: Takes) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    placed = shopper.submit(form)
    go_back_to(backed_up())

    assert shopper.submit(form).location == placed.location


def test_carts_are_put_out_of_use_once(shopper: Shopper, backed_up: Takes) -> None:
    shopper.add_to_cart("SKU-01")
    backup = backed_up()
    go_back_to(backup)
    version = Cart.objects.get().version

    assert note_restore(since=backup.taken_at, by="ada", now=timezone.now()) == {}

    assert Cart.objects.get().version == version
    assert Restore.objects.count() == 1


def test_staff_sign_in_again_and_shoppers_stay(
    shopper: Shopper, shelf: list[Product], backed_up: Takes
) -> None:
    shopper.add_to_cart("SKU-01")
    staff = Client()
    staff.force_login(User.objects.create_superuser("grace", password="x"))
    customer = Client()
    customer.force_login(User.objects.create_user("ada", password="x"))

    assert staff.get("/admin/dashboard/").status_code == 200

    go_back_to(backed_up())

    assert staff.get("/admin/dashboard/").status_code == 302
    assert customer.get("/account/").status_code == 200
    assert "Notebook 01" in shopper.web.get("/cart/").text
