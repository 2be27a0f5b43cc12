"""Pressed twice, gone back, opened twice: one order and one charge all the same."""

import pytest
from django.views.decorators import cache
from playwright.sync_api import expect

from checkout.orders.models import Order
from tests.browser.conftest import Visit
from tests.browser.visitor import heading, place_button
from tests.support.long import long
from tests.support.till import Till, assert_one_order_one_charge

ARRIVED = "We have your order"
PRESS = "() => document.querySelector('[data-place]').click()"


@pytest.mark.parametrize(
    "javascript",
    [pytest.param(True, id="scripts"), pytest.param(False, id="no_scripts", marks=long)],
)
def test_double_click_is_one_order(visit: Visit, till: Till, javascript: bool) -> None:
    visitor = visit(javascript=javascript)
    visitor.open_checkout()

    place_button(visitor.page).dblclick()

    visitor.arrive(visitor.page)
    expect(heading(visitor.page)).to_have_text(ARRIVED)
    assert_one_order_one_charge(till)


@pytest.mark.parametrize(
    "javascript",
    [pytest.param(True, id="scripts", marks=long), pytest.param(False, id="no_scripts")],
)
def test_back_to_a_kept_form_and_press_again_is_one_order(
    visit: Visit, till: Till, monkeypatch: pytest.MonkeyPatch, javascript: bool
) -> None:
    # As in a browser that keeps pages whatever the shop says.
    monkeypatch.setattr(cache, "add_never_cache_headers", lambda response: None)
    visitor = visit(javascript=javascript, keeps_pages=True)
    visitor.open_checkout()
    first = visitor.place_order()

    visitor.page.go_back(wait_until="commit")  # a kept page is not loaded again
    expect(place_button(visitor.page)).to_have_text("Place order — €10.01")
    expect(place_button(visitor.page)).not_to_have_attribute("aria-disabled", "true")

    assert visitor.place_order() == first
    assert_one_order_one_charge(till)


def test_form_opened_twice_and_both_submitted_is_one_order(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout()
    tabs = [visitor.page, visitor.new_tab("/checkout/")]
    visitor.type_in(tabs[1])

    for tab in tabs:
        tab.evaluate(f"() => {{ setTimeout({PRESS}, 200) }}")

    first, second = [visitor.arrive(tab) for tab in tabs]
    assert first == second
    assert_one_order_one_charge(till)


def test_order_page_says_when_the_shop_does_not_answer(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout()
    visitor.page.route("**/status/", lambda route: route.abort())
    visitor.place_order()
    words = visitor.page.locator("[data-status-words]")
    expect(words).to_contain_text("does not answer just now. Your order is safe")

    visitor.page.unroute("**/status/")
    till.settle(Order.objects.get())

    expect(heading(visitor.page)).to_have_text("Thank you, your order is paid")
    assert_one_order_one_charge(till)
