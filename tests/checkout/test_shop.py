"""Looking around and filling a cart."""

import pytest
from django.db import OperationalError

from checkout.catalogue.models import Product
from checkout.models import Cart, CartLine
from tests.support.shopper import InProcess, Shopper, read_form


def quantities() -> dict[str, int]:
    return dict(CartLine.objects.values_list("product__sku", "quantity"))


def test_shelf_and_product_page_show_name_and_price(shopper: Shopper) -> None:
    for path in ("/", "/products/notebook-01/"):
        page = shopper.web.get(path)
        assert page.status == 200
        assert "Notebook 01" in page.words
        assert "€10.01" in page.words


def test_looking_around_stores_nothing(shopper: Shopper) -> None:
    for path in ("/", "/products/notebook-01/", "/cart/", "/checkout/"):
        shopper.web.get(path)

    assert not Cart.objects.exists()


def test_cart_adds_changes_and_removes(shopper: Shopper) -> None:
    assert shopper.add_to_cart("SKU-01").location == "/cart/"
    shopper.add_to_cart("SKU-01", 2)
    shopper.add_to_cart("SKU-02")
    assert quantities() == {"SKU-01": 3, "SKU-02": 1}

    shopper.change_quantity("SKU-01", 5)
    shopper.change_quantity("SKU-02", 0)

    assert quantities() == {"SKU-01": 5}
    assert "€50.05" in shopper.web.get("/cart/").words


def test_no_line_holds_more_than_99(shopper: Shopper) -> None:
    for _ in range(3):
        shopper.add_to_cart("SKU-01", 50)

    assert quantities() == {"SKU-01": 99}


@pytest.mark.parametrize("quantity", ["-1", "100", "many", "1e3", "\0"])
def test_impossible_quantity_is_refused_and_changes_nothing(
    shopper: Shopper, quantity: str
) -> None:
    shopper.add_to_cart("SKU-01", 2)
    fields = {"csrfmiddlewaretoken": _csrf(shopper), "sku": "SKU-01", "quantity": quantity}

    for path in ("/cart/add/", "/cart/change/"):
        assert shopper.web.post(path, fields).status == 400

    assert quantities() == {"SKU-01": 2}


@pytest.mark.parametrize("sku", ["NONE", "LAST-ONE"])
def test_product_that_is_not_sold_is_not_found(shopper: Shopper, sku: str) -> None:
    Product.objects.filter(sku="LAST").update(sku="LAST-ONE", is_on_sale=False)
    fields = {"csrfmiddlewaretoken": _csrf(shopper), "sku": sku, "quantity": "1"}

    assert shopper.web.post("/cart/add/", fields).status == 404
    assert shopper.web.get("/products/globe/").status == 404
    assert not CartLine.objects.exists()


def test_checkout_of_an_empty_cart_leads_to_the_cart(shopper: Shopper) -> None:
    answer = shopper.web.get("/checkout/")

    assert (answer.status, answer.location) == (302, "/cart/")


def test_card_number_typed_as_method_is_refused_and_not_shown(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    form = shopper.open_checkout() | {"payment_method": "4242424242424242"}

    answer = shopper.submit(form)

    assert answer.status == 422
    assert "4242" not in answer.text


def _csrf(shopper: Shopper) -> str:
    return read_form(shopper.web.get("/").text, "/cart/add/")["csrfmiddlewaretoken"]


@pytest.mark.parametrize("typed", ["4242424242424242", "4242 4242-4242 4242 my card"])
def test_card_number_typed_as_name_is_neither_kept_nor_shown(shopper: Shopper, typed: str) -> None:
    shopper.add_to_cart("SKU-01")

    answer = shopper.submit(shopper.open_checkout() | {"full_name": typed})

    assert answer.status == 422
    assert "4242" not in answer.text
    assert "12 Inkwell Lane" in answer.text  # all else is


def test_long_number_that_is_no_card_is_kept(shopper: Shopper) -> None:
    shopper.add_to_cart("SKU-01")
    address = "Parcel locker 12345678901234567"

    assert shopper.submit(shopper.open_checkout() | {"address": address}).status == 303


@pytest.mark.parametrize("error", [OperationalError("could not extend file"), KeyError("a bug")])
def test_page_says_whether_the_database_failed_or_the_shop(
    shopper: Shopper, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: object, **words: object) -> None:
        raise error

    fields = read_form(shopper.web.get("/").text, "/cart/add/") | {"sku": "SKU-01"}
    monkeypatch.setattr("checkout.views.shop.add_to_cart", fail)
    assert isinstance(shopper.web, InProcess)
    shopper.web.client.raise_request_exception = False

    answer = shopper.web.post("/cart/add/", fields)

    if isinstance(error, OperationalError):
        assert answer.status == 503
        assert "nothing was charged" in answer.words
    else:
        assert answer.status == 500
        assert "can never buy twice" in answer.words
