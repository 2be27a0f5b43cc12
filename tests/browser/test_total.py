"""The total follows what is chosen: with scripts and without, on desk and phone, in German too."""

from dataclasses import dataclass

import pytest
from playwright.sync_api import Page, Route, expect

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from tests.browser.conftest import Visit
from tests.browser.screenshots import AXE, violations_of
from tests.browser.visitor import TEXT_FIELDS, last_held, place_button
from tests.support.long import at_length
from tests.support.rules import delivery_method, discount_code, tax_rate
from tests.support.shopper import TYPED
from tests.support.till import Till

DESK, PHONE = 1280, 360


@dataclass(frozen=True)
class Words:
    locale: str
    update: str
    place: str
    to_germany: str
    to_ireland: str
    to_america: str
    with_code: str
    region_is_missing: str


ENGLISH = Words(
    "en-GB", "Update total", "Place order", "€14.91", "€19.91", "€24.91", "€23.91", "Which state?"
)
GERMAN = Words(
    *("de-DE", "Summe aktualisieren", "Bestellung", "14,91", "19,91", "24,91", "23,91"),
    "Welcher Bundesstaat?",
)


@pytest.fixture(autouse=True)
def rules(shelf: list[Product]) -> None:
    for country, percent in [("DE", "19"), ("IE", "23")]:
        tax_rate(country, percent)
    delivery_method("Parcel", {"DE": 490, "IE": 990, "US": 1490}, position=1)
    delivery_method("Express", {"DE": 990, "IE": 1990}, position=2)
    discount_code("SPRING", percent="10")


def update(page: Page, words: Words, *, javascript: bool) -> None:
    """With scripts the total follows by itself."""
    if not javascript:
        page.get_by_role("button", name=words.update).click()


def shows(page: Page, amount: str) -> None:
    expect(page.locator("#summary .total")).to_contain_text(amount)
    expect(page.locator("#press [data-place]")).to_contain_text(amount)


# Each of them once, and all together in `make test-long`.
@pytest.mark.parametrize(
    ("words", "width", "javascript"),
    [
        (ENGLISH, DESK, False),
        (GERMAN, PHONE, True),
        *at_length((ENGLISH, DESK, True), (ENGLISH, PHONE, True), (ENGLISH, PHONE, False)),
        *at_length((GERMAN, DESK, True), (GERMAN, DESK, False), (GERMAN, PHONE, False)),
    ],
    ids=lambda value: value.locale if isinstance(value, Words) else str(value),
)
def test_way_from_ireland_to_america_and_a_code(
    visit: Visit, till: Till, words: Words, width: int, *, javascript: bool
) -> None:
    visitor = visit(width=width, javascript=javascript, locale=words.locale)
    page = visitor.page
    page.goto("/products/notebook-01/")
    page.locator(".product form button").click()
    page.goto("/checkout/")
    shows(page, words.to_germany)
    for name in TEXT_FIELDS:
        page.locator(f"[name={name}]").fill(TYPED[name])

    page.locator("[name=country]").select_option("IE")
    update(page, words, javascript=javascript)
    shows(page, words.to_ireland)

    page.locator("[name=country]").select_option("US")
    update(page, words, javascript=javascript)
    shows(page, words.to_america)
    expect(page.locator("select[name=region]")).to_be_visible()

    page.locator("[name=code]").fill("spring")
    page.locator("[name=code]").blur()
    update(page, words, javascript=javascript)
    shows(page, words.with_code)

    page.locator("[name=code]").fill("")
    page.locator("[name=code]").blur()
    update(page, words, javascript=javascript)
    shows(page, words.to_america)
    assert not Order.objects.exists()
    if javascript and AXE.exists():
        assert violations_of(page, "checkout") == []

    page.locator("[name=postcode]").fill("94105")
    page.locator("select[name=region]").select_option("CA")
    update(page, words, javascript=javascript)
    page.locator("[name=payment_method][value=pm_card_visa]").check()
    page.locator("#press [data-place]").click()
    visitor.arrive(page)

    order = Order.objects.get()
    assert (order.total_minor, order.region, order.country) == (2491, "CA", "US")
    expect(page.locator(".receipt .total").first).to_contain_text(words.to_america)
    expect(page.locator(".receipt .part").first).to_be_visible()


def test_region_that_is_missing_is_asked_for_at_its_field(visit: Visit, till: Till) -> None:
    page = visit().page
    page.goto("/products/notebook-01/")
    page.get_by_role("button", name="Add to cart").click()
    page.goto("/checkout/")
    for name in TEXT_FIELDS:
        page.locator(f"[name={name}]").fill(TYPED[name])
    page.locator("[name=country]").select_option("US")
    shows(page, ENGLISH.to_america)
    page.locator("[name=payment_method][value=pm_card_visa]").check()
    page.locator("form.checkout-form").evaluate("form => form.noValidate = true")

    page.locator("#press [data-place]").click()

    expect(page.locator(".field-region .field-error")).to_be_visible()
    expect(page.locator("[name=full_name]")).to_have_value("Ada Quillfeather")
    assert not Order.objects.exists()


def test_enter_in_the_code_asks_what_it_is_worth(visit: Visit, till: Till) -> None:
    page = visit().page
    page.goto("/products/notebook-01/")
    page.get_by_role("button", name="Add to cart").click()
    page.goto("/checkout/")

    page.locator("[name=code]").fill("SPRING")
    page.locator("[name=code]").press("Enter")

    shows(page, "€13.91")
    expect(page.locator("[name=code]")).to_be_focused()
    assert page.url.endswith("/checkout/")


def test_code_for_everything_takes_the_way_to_pay_away_and_back(visit: Visit, till: Till) -> None:
    discount_code("GIFT", percent="100")
    Product.objects.update(is_delivered=False)
    page = visit().page
    page.goto("/products/notebook-01/")
    page.get_by_role("button", name="Add to cart").click()
    page.goto("/checkout/")
    page.locator("[name=full_name]").fill("Ada Quillfeather")

    page.locator("[name=code]").fill("GIFT")
    page.locator("[name=code]").press("Enter")
    expect(page.locator("#payment-method")).to_have_count(0)
    expect(page.locator("[name=full_name]")).to_have_value("Ada Quillfeather")

    page.locator("[name=code]").fill("")
    page.locator("[name=code]").press("Enter")
    expect(page.locator("#payment-method")).to_be_visible()


@pytest.mark.parametrize("by", ["mouse", "space bar"])
def test_total_that_arrives_in_the_middle_of_a_press_does_not_lose_it(
    visit: Visit, till: Till, by: str
) -> None:
    visitor = visit()
    page = visitor.page
    visitor.fill_cart()
    on_its_way: list[Route] = []
    page.route("**/checkout/total/", lambda route: on_its_way.append(route))
    with page.expect_request("**/checkout/total/"):
        visitor.go_to_checkout()
    button = place_button(page)
    button.focus()
    if by == "mouse":
        button.hover()
        page.mouse.down()
    else:
        page.keyboard.down(" ")
    with page.expect_response("**/checkout/total/") as answered:
        last_held(page, on_its_way).continue_()
    answered.value.finished()
    page.wait_for_timeout(100)  # so that the page has shown it, if it does
    if by == "mouse":
        page.mouse.up()
    else:
        page.keyboard.up(" ")

    # The total of the press was another one, so the shopper is asked.
    expect(page.get_by_text("The total was €14.91 when you opened this page")).to_be_visible()
    assert not Order.objects.exists()
