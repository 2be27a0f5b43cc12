"""What the gateway can never take is refused before an order is placed, with nothing lost."""

import pytest
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product, StockMovement
from checkout.models import Cart
from checkout.orders.models import Order, OutboxMessage
from tests.support.api_caller import PURCHASE, new_caller
from tests.support.shopper import Shopper
from tests.support.till import Till, assert_one_order_one_charge


def set_price(price_minor: int, sku: str = "SKU-01") -> None:
    Product.objects.filter(sku=sku).update(price_minor=price_minor)


def assert_nothing_happened() -> None:
    assert not Order.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert not StockMovement.objects.filter(kind="placed").exists()
    assert Product.objects.get(sku="SKU-01").stock == 100_000


REFUSED = [
    ("EUR", 49, "€0.49", "the smallest amount that can be paid is €0.50"),
    ("EUR", 100_000_000, "€1,000,000.00", "the largest amount that can be paid is €999,999.99"),
    ("JPY", 49, "¥49", "the smallest amount that can be paid is ¥50"),
    ("ISK", 1_000_000, "ISK1,000,000", "the largest amount that can be paid is ISK999,999"),
    ("KWD", 5124, "KWD5.124", "amounts can be paid only in steps of KWD0.010"),
    ("MGA", 123_450, "MGA1,234.5", "amounts can be paid only in steps of MGA1"),
    ("XAU", 5000, "", "cannot take payments in XAU"),
]


@pytest.mark.parametrize(("currency", "price_minor", "total", "says"), REFUSED)
def test_page_says_what_can_be_paid_and_places_nothing(
    shopper: Shopper, settings: Settings, currency: str, price_minor: int, total: str, says: str
) -> None:
    settings.SHOP_CURRENCY = currency
    set_price(price_minor)
    shopper.add_to_cart("SKU-01")

    refused = shopper.submit(shopper.open_checkout())

    assert refused.status == 422
    assert says in refused.words.replace("\xa0", " ")
    assert total in refused.words.replace("\xa0", " ")
    assert "Nothing was ordered or charged" in refused.words
    assert 'value="12 Inkwell Lane"' in refused.text
    assert_nothing_happened()
    assert Cart.objects.get().closed_at is None


def test_page_says_so_before_anything_is_typed(shopper: Shopper) -> None:
    set_price(49)
    shopper.add_to_cart("SKU-01")

    page = shopper.web.get("/checkout/")

    assert page.status == 200
    assert "the smallest amount that can be paid is €0.50" in page.words


def test_german_page_says_so_in_german(shopper: Shopper) -> None:
    set_price(49)
    shopper.add_to_cart("SKU-01")
    shopper.web.client.cookies["django_language"] = "de"  # type: ignore[attr-defined] # only in process

    page = shopper.web.get("/checkout/")

    assert "der kleinste Betrag, der bezahlt werden kann, ist 0,50" in page.words


def test_same_form_places_once_the_cart_holds_enough(shopper: Shopper, till: Till) -> None:
    set_price(30)
    shopper.add_to_cart("SKU-01")
    assert shopper.submit(shopper.open_checkout()).status == 422

    shopper.change_quantity("SKU-01", 2)
    placed = shopper.submit(shopper.open_checkout())

    assert placed.status == 303
    till.deliver_messages()
    assert_one_order_one_charge(till)
    assert till.charges()[0].amount_minor == 60


@pytest.mark.parametrize("price_minor", [50, 99_999_999])
def test_smallest_and_largest_amount_are_placed(shopper: Shopper, price_minor: int) -> None:
    set_price(price_minor)

    assert shopper.buy("SKU-01").status == 303


@pytest.mark.usefixtures("shelf")
def test_program_is_told_the_limits_and_keeps_its_key() -> None:
    caller = new_caller()
    set_price(20)
    two = PURCHASE | {"expected_total": "0.40"}

    refused = caller.place("key-1", two)

    assert (refused.status, refused.problem) == (422, "total-not-payable")
    assert refused.json["charged"] is False
    assert refused.json["total"] == "0.40"
    assert refused.json["payable"] == {
        "currency": "EUR",
        "smallest": "0.50",
        "largest": "999999.99",
        "step": "0.01",
    }
    assert_nothing_happened()
    three = PURCHASE | {
        "lines": [{"sku": "SKU-01", "quantity": 3}],
        "expected_total": "0.60",
    }
    assert caller.place("key-1", three).status == 201
