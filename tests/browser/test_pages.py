"""What holds for every page, on a narrow phone. `visit` fails on any console message."""

import re

from django.contrib.staticfiles import finders
from playwright.sync_api import Page, expect

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from tests.browser.conftest import Visit
from tests.browser.visitor import Visitor, heading, place_button
from tests.support.till import Till, assert_one_order_one_charge

INLINE = """() => [...document.querySelectorAll("*")].filter(element =>
  element.localName === "style" || element.matches("script:not([src])") ||
  [...element.attributes].some(a => a.name === "style" || a.name.startsWith("on") ||
    /^\\s*javascript:/i.test(a.value))
).map(element => element.outerHTML)"""

TOO_WIDE = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"

# Links within a sentence may be as low as their line.
# What is folded away has no size of its own until somebody unfolds it.
TOO_SMALL = """() => [...document.querySelectorAll("a, button, select, input:not([type=hidden])")]
  .filter(element => !element.closest("details:not([open]) > :not(summary)"))
  .filter(element => !element.matches("[aria-hidden]"))
  .filter(element => !element.matches("p:not(.actions):not(.crumb):not(.summary-change) a, .skip"))
  .map(element => element.matches("[type=radio]") ? element.closest("label") : element)
  .filter(element => element.getBoundingClientRect().height < MINIMUM)
  .map(element => element.outerHTML)"""
TOUCH_TARGET_PX = 44


def check(page: Page, title: str) -> None:
    expect(heading(page)).to_have_text(title)
    page.wait_for_load_state()  # with its styles
    assert page.evaluate(TOO_WIDE) == 0, f"{title}: scrolls sideways"
    assert page.evaluate(INLINE) == [], title
    too_small = TOO_SMALL.replace("MINIMUM", str(TOUCH_TARGET_PX))
    assert page.evaluate(too_small) == [], title
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate(too_small) == [], f"{title}, unfolded"


def check_shop(page: Page) -> None:
    for path, title in [
        ("/", "Shelves"),
        ("/products/notebook-01/", "Notebook 01"),
        ("/products/globe/", "Globe"),
        ("/nowhere/", "There is nothing at this address"),
    ]:
        page.goto(path)
        check(page, title)


def check_carts_and_checkout(visitor: Visitor) -> None:
    page = visitor.page
    page.goto("/cart/")
    check(page, "Your cart")
    visitor.fill_cart("globe")
    visitor.open_checkout("pm_card_chargeDeclined")
    check(page, "Checkout")
    Product.objects.filter(sku="LAST").update(stock=0)
    place_button(page).click()
    expect(page.get_by_role("alert")).to_contain_text("There is not enough left")
    check(page, "Checkout")
    page.goto("/cart/")
    check(page, "Your cart")
    page.get_by_role("button", name="Remove Globe").click()
    page.goto("/checkout/")
    visitor.type_in(page, "pm_card_chargeDeclined")
    page.get_by_label("E-mail").fill("ada@example")
    place_button(page).click()
    expect(page.get_by_role("alert")).to_be_visible()
    check(page, "Checkout")
    page.get_by_label("E-mail").fill("ada@example.com")


def check_order(visitor: Visitor, till: Till) -> None:
    page = visitor.page
    visitor.place_order()
    check(page, "We have your order")
    till.settle(Order.objects.get())
    check(page, "Your payment was declined")
    page.get_by_label("Card that is approved").check()
    page.get_by_role("button", name="Pay").click()
    expect(heading(page)).to_have_text("We have your order")
    till.settle(Order.objects.get())
    check(page, "Thank you, your order is paid")
    page.goto("/cart/")
    check(page, "Your cart")


def test_pages_fit_a_narrow_phone_and_carry_nothing_inline(visit: Visit, till: Till) -> None:
    visitor = visit(width=360)
    Product.objects.filter(sku="SKU-20").update(name="Unbreakable" * 9)

    check_shop(visitor.page)
    check_carts_and_checkout(visitor)
    check_order(visitor, till)

    assert len(till.charges()) == 1


def test_form_from_another_session_is_refused_in_the_shops_own_design(visit: Visit) -> None:
    visitor = visit(width=360)
    visitor.page.goto("/")
    visitor.context.clear_cookies()

    visitor.page.get_by_role("button", name=re.compile("Notebook 01")).click()

    check(visitor.page, "Your browser sent no cookies")


def test_shop_sells_without_its_stylesheet(visit: Visit, till: Till) -> None:
    visitor = visit(width=360)
    visitor.context.route("**/*.css", lambda route: route.fulfill(content_type="text/css"))
    visitor.open_checkout()

    visitor.place_order()

    assert_one_order_one_charge(till)


def test_sum_stays_in_view_on_a_phone(visit: Visit, shelf: list[Product]) -> None:
    visitor = visit(width=360)
    visitor.open_checkout()

    # In one step: the page writes this button again as soon as it has asked for its total.
    place_button(visitor.page).evaluate("button => button.scrollIntoView({block: 'center'})")

    bar = visitor.page.locator(".summary-bar")
    expect(bar).to_be_in_viewport()
    expect(bar).to_contain_text("€10.01")


def test_scripts_are_readable_by_old_browsers() -> None:
    """A script that cannot be parsed runs not at all, and <noscript> stays unused beside it. What a
    browser does not know may only be called where it was looked for first."""
    newer = re.compile(r"=>|`|\?\.|\?\?|\b(?:const|let|class|async)\s+\w|catch \{|\.\.\.\w")
    for name in ["checkout.js", "fields.js", "order.js", "times.js", "total.js"]:
        path = finders.find(f"checkout/{name}")
        assert path
        with open(path, encoding="utf-8") as script:
            assert newer.findall(script.read()) == [], name
