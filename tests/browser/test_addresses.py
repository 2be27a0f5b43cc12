"""An address of any country is typed into the rows of that country, with JavaScript and without."""

import os
from pathlib import Path

from playwright.sync_api import Page, expect

from checkout.orders.models import Order
from tests.browser.conftest import Visit
from tests.browser.screenshots import AXE, violations_of
from tests.browser.visitor import Visitor, heading, place_button
from tests.support.till import Till


def rows(page: Page) -> list[str]:
    fields = page.locator("#address-rows input:not([type=hidden]), #address-rows select")
    return [str(name) for name in fields.evaluate_all("all => all.map(one => one.name)")]


def fill_bill(visitor: Visitor) -> None:
    visitor.page.get_by_text("Bill to another address").click()
    for name, text in {"full_name": "Grace", "address": "1 Paper Street", "city": "Bern"}.items():
        visitor.page.locator(f"[name=billing_{name}]").fill(text)
    visitor.page.locator("[name=billing_postcode]").fill("3003")


def assert_no_rule_is_broken(page: Page, name: str) -> None:
    if pictures := os.environ.get("PICTURES"):
        page.screenshot(path=Path(pictures) / f"{name}.png", full_page=True)
    if AXE.exists():
        assert violations_of(page, name) == []


def test_rows_change_with_the_country_without_javascript(visit: Visit, till: Till) -> None:
    visitor = visit(javascript=False, width=360)
    page = visitor.page
    visitor.open_checkout()
    assert rows(page) == ["postcode", "city"]
    page.locator("[name=country]").select_option("US")
    page.locator("[name=postcode]").fill("95014")
    fill_bill(visitor)
    page.locator("[name=billing_country]").fill("Switzerland")

    place_button(page).click()

    expect(page.get_by_text("Which state, province or region?").first).to_be_visible()
    assert rows(page) == ["city", "region", "postcode"]
    assert page.locator("[name=billing_country]").input_value() == "Switzerland"
    page.get_by_label("State", exact=True).select_option("California")
    visitor.place_order()
    order = Order.objects.get()
    assert (order.country, order.region, order.postcode) == ("US", "CA", "95014")
    assert order.billing
    assert (order.billing["country"], order.billing["city"]) == ("CH", "Bern")


def test_second_address_is_out_of_the_way_until_it_is_wanted(visit: Visit, till: Till) -> None:
    visitor = visit(width=390)
    page = visitor.page
    visitor.open_checkout()
    assert_no_rule_is_broken(page, "closed")
    expect(page.locator("[name=billing_city]")).not_to_be_visible()
    page.locator("[name=country]").select_option("US")
    expect(page.locator("select[name=region]")).to_be_visible()
    assert rows(page) == ["city", "region", "postcode"]
    assert page.locator("[name=city]").input_value() == "Cork"
    page.get_by_text("Order for a company").click()
    page.locator("[name=vat_id]").fill("DE136695978")
    fill_bill(visitor)

    place_button(page).click()

    expect(page.get_by_role("alert")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("Which country does the bill go to?")
    assert_no_rule_is_broken(page, "wrong")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert_no_rule_is_broken(page, "wide")
    page.locator("[name=billing_country]").select_option("Switzerland")
    page.locator("[name=vat_id]").fill("")
    page.locator("[name=region]").select_option("NY")
    visitor.place_order()
    expect(heading(page)).to_have_text("We have your order")
    billing = Order.objects.get().billing
    assert billing
    assert billing["country"] == "CH"


def test_hint_of_postcodes_outlives_its_rows(visit: Visit) -> None:
    visitor = visit()
    page = visitor.page
    visitor.open_checkout()
    expect(page.locator("[name=region]")).to_be_visible()  # the rows are those of Ireland now

    page.locator("[name=postcode]").fill("12")
    page.locator("[name=email]").focus()

    expect(page.locator("[data-postcode-hint]")).to_contain_text("look like A65 F4E2")
