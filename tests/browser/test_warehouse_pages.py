"""A clerk at a real browser: what is to be sent, on paper and on screen, on a desk and a phone."""

import re

import pytest
from playwright.sync_api import expect
from pytest_django.live_server_helper import LiveServer

from checkout.catalogue.models import Product
from checkout.orders.models import Order, Shipment
from tests.browser.admin_pages import session_of_staff
from tests.browser.conftest import Visit, needs_axe
from tests.browser.screenshots import violations_of
from tests.browser.visitor import Visitor
from tests.support.long import at_length
from tests.support.parcels import order_to_send, pieces_sent

LIST = "/admin/orders/ordertosend/"


@pytest.fixture
def orders(shelf: list[Product]) -> list[Order]:
    orders = [order_to_send((shelf[0], 2), (shelf[number], 1)) for number in (1, 2, 3)]
    Order.objects.filter(pk=orders[1].pk).update(language="de")
    return orders


def at_the_desk(visit: Visit, live_server: LiveServer, width: int) -> Visitor:
    visitor = visit(width=width)
    cookie = {"name": "sessionid", "value": session_of_staff(), "url": live_server.url}
    visitor.context.add_cookies([cookie])  # type: ignore[list-item] # a dict, as Playwright takes it
    return visitor


@pytest.mark.parametrize("width", [360, *at_length(1280)])
def test_clerk_prints_slips_and_sends_with_a_double_click(
    visit: Visit, live_server: LiveServer, orders: list[Order], width: int
) -> None:
    page = at_the_desk(visit, live_server, width).page
    page.goto(LIST)
    for order in orders[:2]:
        page.locator(f'input[name="_selected_action"][value="{order.pk}"]').check()
    page.locator('select[name="action"]').select_option("packing_slips")
    page.get_by_role("button", name="Go").click()
    expect(page.locator("section.slip")).to_have_count(2)
    german = page.get_by_role("heading", name=f"Lieferschein zur Bestellung {orders[1].number}")
    expect(german).to_be_visible()
    page.wait_for_load_state()  # with its styles
    assert len(re.findall(rb"/Type\s*/Page\b", page.pdf())) == 2  # a sheet for each order
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Warehouse")).to_be_hidden()
    page.emulate_media(media="screen")

    page.get_by_role("link", name="All orders to send").click()
    page.get_by_role("link", name=orders[0].number).click()
    page.get_by_label("Tracking number").fill("00340434161094042557")
    page.get_by_role("button", name="Sent").dblclick()

    expect(page.get_by_text("Nothing of this order is left to be sent.")).to_be_visible()
    assert pieces_sent(orders[0]) == [2, 1]
    assert Shipment.objects.count() == 1
    page.get_by_role("link", name=f"Next to send: {orders[1].number}").click()
    expect(page.get_by_role("heading", name=f"Send order {orders[1].number}")).to_be_visible()


@needs_axe
def test_pages_break_no_rule_and_are_no_wider_than_a_phone(
    visit: Visit, live_server: LiveServer, orders: list[Order]
) -> None:
    visitor, found = at_the_desk(visit, live_server, 360), list[str]()
    page = visitor.page
    for name in ("pick-list/", "packing-slips/", f"{orders[0].pk}/ship/", "import/"):
        page.goto(LIST + name)
        assert visitor.problems == []
        # Django's own, which colour alone tells from the words around them.
        page.evaluate("document.querySelector('.breadcrumbs')?.remove()")
        found += violations_of(page, name)
        visitor.problems.clear()  # axe-core tries styles of its own, which the policy refuses
        root = "document.documentElement"
        assert page.evaluate(f"{root}.scrollWidth <= {root}.clientWidth"), name

    assert found == []
