"""From the shelf to a paid order, with and without scripts, with and without a mouse."""

from playwright.sync_api import Page, expect

from checkout.orders.models import Order
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, heading
from tests.support.processes import ShopProcesses, eventually
from tests.support.shopper import TYPED
from tests.support.till import Till, all_paid, assert_one_order_one_charge

PAID = "Thank you, your order is paid"


def test_order_page_becomes_paid_without_a_press(
    visit: Visit, processes: ShopProcesses, till: Till
) -> None:
    visitor = visit()
    take_from_shelf(visitor)
    visitor.go_to_checkout()

    visitor.place_order()

    expect(heading(visitor.page)).to_have_text("We have your order")
    expect(visitor.page.locator("[data-status-words]")).to_have_text("This page updates by itself.")
    settle(processes)
    expect(heading(visitor.page)).to_have_text(PAID)
    assert_one_order_one_charge(till)


def test_purchase_without_scripts_refreshes_until_paid(
    visit: Visit, processes: ShopProcesses, till: Till
) -> None:
    visitor = visit(javascript=False)
    take_from_shelf(visitor)
    visitor.go_to_checkout()

    visitor.place_order()

    expect(heading(visitor.page)).to_have_text("We have your order")
    settle(processes)
    expect(heading(visitor.page)).to_have_text(PAID)
    assert_one_order_one_charge(till)


def test_purchase_with_the_keyboard_alone(visit: Visit, till: Till) -> None:
    page = visit(width=390).page
    page.goto("/")
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    tab_to(page, "Notebook 01")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Notebook 01")
    tab_to(page, "Add to cart")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Your cart")
    tab_to(page, "Go to checkout")
    page.keyboard.press("Enter")
    expect(heading(page)).to_have_text("Checkout")

    tab_to(page, "email")
    for name in ["email", "full_name"]:
        assert focused(page) == name
        page.keyboard.type(TYPED[name])
        page.keyboard.press("Tab")
    assert focused(page) == "Order for a company"
    page.keyboard.press("Tab")
    assert focused(page) == "country"
    page.keyboard.type("Ireland")
    tab_to(page, "address")
    page.keyboard.type(TYPED["address"])
    expect(page.locator("[name=region]")).to_be_visible()  # the rows are those of Ireland now
    for name in ["city", "postcode"]:
        tab_to(page, name)
        page.keyboard.type(TYPED[name])
    for name in ["phone", "Bill to another address", "update_total", "payment_method"]:
        tab_to(page, name)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")

    expect(heading(page)).to_have_text("We have your order")
    order = assert_one_order_one_charge(till)
    assert {name: getattr(order, name) for name in TYPED if name != "payment_method"} == {
        name: typed for name, typed in TYPED.items() if name != "payment_method"
    }


def test_reload_and_back_show_the_order_and_make_nothing(visit: Visit, till: Till) -> None:
    visitor = visit()
    visitor.open_checkout()
    address = visitor.place_order()
    events = Order.objects.get().events.count()

    for _ in range(3):
        visitor.page.reload()
    visitor.page.go_back()

    assert visitor.page.url == address
    assert Order.objects.get().events.count() == events
    assert_one_order_one_charge(till)


def take_from_shelf(visitor: Visitor) -> None:
    visitor.page.goto("/")
    visitor.page.get_by_role("link", name="Notebook 01", exact=True).click()
    visitor.page.get_by_role("button", name="Add to cart").click()


def settle(processes: ShopProcesses) -> None:
    processes.publisher()
    processes.worker()
    eventually(all_paid, what="paying the order")


def focused(page: Page) -> str:
    words: str = page.evaluate(
        "() => document.activeElement.name || document.activeElement.textContent.trim()"
    )
    return words


def tab_to(page: Page, wanted: str) -> None:
    seen: list[str] = []
    while len(seen) < 40:
        page.keyboard.press("Tab")
        seen.append(focused(page))
        if seen[-1] == wanted:
            return
    raise AssertionError(f"{wanted} is not reached by Tab: {seen}")
