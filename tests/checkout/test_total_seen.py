"""Whatever page a press comes from, its shopper pays the total that this very page showed."""

import re
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.models import CartLine
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import Order
from tests.support.clock import move_time
from tests.support.shopper import Answer, InProcess, Shopper, read_form
from tests.support.till import Till, assert_one_order_one_charge


def set_price(price_minor: int, sku: str = "SKU-01") -> None:
    Product.objects.filter(sku=sku).update(price_minor=price_minor)


def offered(answer: Answer) -> dict[str, str]:
    return read_form(answer.text, "/checkout/")


@pytest.mark.usefixtures("at_noon")
def test_total_of_a_page_that_put_the_press_off_is_the_one_that_counts(
    shopper: Shopper, settings: Settings
) -> None:
    """Opened at 50, lowered to 5 while the press was put off, raised again: not 50."""
    settings.LIMIT_PLACING = read_rates("session 1/10m")
    shopper.buy("SKU-02")
    Order.objects.update(status="cancelled")
    set_price(5000)
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    set_price(500)
    put_off = shopper.submit(form)
    assert put_off.status == 429
    assert "€5.00" in put_off.words
    settings.LIMIT_PLACING = read_rates("session 20/10m")
    set_price(5000)

    asked = shopper.submit(offered(put_off))

    assert asked.status == 409
    assert "The total was €5.00 when you opened this page and is €50.00 now" in asked.words
    assert shopper.submit(offered(asked)).status == 303
    assert Order.objects.latest("id").total_minor == 5000


def test_total_of_the_page_that_asks_about_an_earlier_order_counts(
    shopper: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    elsewhere = Shopper(InProcess())
    elsewhere.add_to_cart("SKU-01")
    form = elsewhere.open_checkout()
    set_price(500)
    question = elsewhere.submit(form)
    assert "€5.00" in question.words
    set_price(1001)

    answer = elsewhere.submit(offered(question))

    assert answer.status == 409
    assert "A price has changed" in answer.words
    assert Order.objects.count() == 1


def test_answer_to_the_question_is_good_although_the_price_changed_meanwhile(
    shopper: Shopper, till: Till
) -> None:
    shopper.buy("SKU-01")
    elsewhere = Shopper(InProcess())
    elsewhere.add_to_cart("SKU-01")
    form = elsewhere.open_checkout()
    set_price(500)

    answer = elsewhere.submit(offered(elsewhere.submit(form)))

    assert answer.status == 303
    assert Order.objects.latest("id").total_minor == 500


def test_page_of_before_a_sign_in_offers_what_it_shows(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    set_price(500)
    refused = shopper.submit(form | {"csrfmiddlewaretoken": "x" * 64})
    assert refused.status == 403
    set_price(1001)

    answer = shopper.submit(offered(refused))

    assert answer.status == 409
    assert "The total was €5.00" in answer.words


def test_article_that_was_deleted_is_no_change_of_price(shopper: Shopper, till: Till) -> None:
    shopper.add_to_cart("SKU-01")
    shopper.add_to_cart("SKU-02")
    form = shopper.open_checkout()
    CartLine.objects.filter(product__sku="SKU-02").delete()  # as a deleted product takes it along

    answer = shopper.submit(form)

    assert answer.status == 409
    assert "Something in your cart is no longer sold" in answer.words
    assert "A price has changed" not in answer.words
    assert re.search("was €20.03 .* is €10.01 now, for what is left", answer.words)
    assert shopper.submit(offered(answer)).status == 303
    assert assert_one_order_one_charge(till).total_minor == 1001


def test_only_article_deleted_is_not_a_change_in_another_tab(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    CartLine.objects.filter(product__sku="SKU-01").delete()  # as a deleted product takes it along

    answer = shopper.submit(form)

    assert answer.status == 409
    assert "no longer sold" in answer.words
    assert "Your cart is empty now." in answer.words
    assert "another tab" not in answer.words


@pytest.mark.parametrize("price_minor", [1001, 9900])
def test_withdrawn_article_is_told_as_such_whatever_it_costs(
    shopper: Shopper, price_minor: int
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    Product.objects.filter(sku="SKU-01").update(is_on_sale=False, price_minor=price_minor)

    answer = shopper.submit(form)

    assert answer.status == 409
    assert "Something in your cart is no longer sold" in answer.words
    assert "A price has changed" not in answer.words
    assert "There is not enough left" not in answer.words
    assert not Order.objects.exists()


def test_token_that_is_as_the_page_goes_back_as_it_was(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()

    assert offered(shopper.submit(form | {"email": "no"}))["token"]
    refused = shopper.submit(form | {"csrfmiddlewaretoken": "x" * 64})

    assert offered(refused)["token"] == form["token"]


def test_page_that_was_open_for_long_offers_a_new_one(
    shopper: Shopper, monkeypatch: pytest.MonkeyPatch
) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout()
    move_time(monkeypatch, timezone.now() + timedelta(days=2))
    set_price(500)

    answer = shopper.submit(form)

    assert answer.status == 409
    assert shopper.submit(offered(answer)).status == 303
    assert Order.objects.get().total_minor == 500
