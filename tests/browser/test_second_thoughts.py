"""What stands between a press and its order: the form comes back with everything typed."""

import pytest
from playwright.sync_api import expect

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.placing.place import PlacingUnavailable
from checkout.views import checkout
from tests.browser.conftest import Visit
from tests.browser.visitor import heading, place_button
from tests.support.till import Till, assert_one_order_one_charge

SLOW = "pm_sandbox_slow"


def test_declined_payment_is_paid_with_another_method(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout("pm_card_chargeDeclined")
    address = visitor.place_order()
    till.settle(Order.objects.get())
    expect(heading(visitor.page)).to_have_text("Your payment was declined")
    expect(visitor.page.locator(".status")).to_contain_text("You have not been charged")
    assert till.charges() == []

    visitor.page.get_by_label("Card that is approved").check()
    visitor.page.get_by_role("button", name="Pay").dblclick()

    expect(heading(visitor.page)).to_have_text("We have your order")
    assert visitor.page.url == address
    till.settle(Order.objects.get())
    expect(heading(visitor.page)).to_have_text("Thank you, your order is paid")
    assert_one_order_one_charge(till)


def test_invalid_field_keeps_what_was_typed(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout(SLOW)
    email = visitor.page.get_by_label("E-mail")
    email.fill("ada@example")  # good enough for the browser's own check
    typed = visitor.typed(visitor.page)

    place_button(visitor.page).click()

    alert = visitor.page.get_by_role("alert")
    expect(alert).to_be_focused()
    expect(alert).to_contain_text("Nothing was ordered or charged")
    assert visitor.typed(visitor.page) == typed
    assert not Order.objects.exists()
    alert.get_by_role("link").click()
    expect(email).to_be_focused()
    email.fill("ada@example.com")
    visitor.place_order()
    assert Order.objects.get().payment_method == SLOW


def test_cart_changed_in_another_tab_is_asked_about(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout()
    typed = visitor.typed(visitor.page)
    cart = visitor.new_tab("/cart/")
    cart.get_by_role("spinbutton", name="Quantity").fill("3")
    cart.get_by_role("button", name="Update").click()
    expect(cart.locator(".total")).to_contain_text("€30.03")

    place_button(visitor.page).click()

    expect(visitor.page.get_by_role("alert")).to_contain_text("was €10.01")
    expect(place_button(visitor.page)).to_contain_text("€30.03")
    assert visitor.typed(visitor.page) == typed
    assert not Order.objects.exists()
    visitor.place_order()
    assert assert_one_order_one_charge(till).total_minor == 3003


def test_sold_out_item_is_removed_in_another_tab(
    visit: Visit, till: Till, shelf: list[Product]
) -> None:
    visitor = visit()
    visitor.fill_cart("globe")
    visitor.open_checkout()
    typed = visitor.typed(visitor.page)
    Product.objects.filter(sku="LAST").update(stock=0)
    place_button(visitor.page).click()
    expect(visitor.page.get_by_role("alert")).to_contain_text("There is not enough left")

    with visitor.context.expect_page() as opened:
        visitor.page.locator(".press").get_by_role("link", name="Change your cart").click()
    opened.value.get_by_role("button", name="Remove Globe").click()
    expect(opened.value.get_by_role("link", name="Go to checkout")).to_be_visible()
    visitor.page.get_by_role("button", name="Try to place the order again").click()

    expect(visitor.page.get_by_role("alert")).to_contain_text("is €10.01 now")
    assert visitor.typed(visitor.page) == typed
    visitor.place_order()
    assert assert_one_order_one_charge(till).total_minor == 1001


def test_press_after_an_outage_buys(
    visit: Visit, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object, **__: object) -> Order:
        raise PlacingUnavailable

    visitor = visit(javascript=False)  # with it, the page tries again by itself
    visitor.open_checkout()
    typed = visitor.typed(visitor.page)
    with monkeypatch.context() as outage:
        outage.setattr(checkout, "place_order", away)
        place_button(visitor.page).click()
        expect(visitor.page.get_by_role("alert")).to_contain_text("could not store your order")
    assert visitor.typed(visitor.page) == typed
    assert not Order.objects.exists()

    visitor.place_order()

    assert_one_order_one_charge(till)
