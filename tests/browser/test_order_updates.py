"""The order's page follows its order without a reload, and stops when there is nothing to come."""

import re

import pytest
from django.utils import timezone
from playwright.sync_api import Page, Request, expect

from checkout.catalogue.models import Product
from checkout.orders.links import link_path
from checkout.orders.models import Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.browser.conftest import Visit
from tests.browser.visitor import heading
from tests.support.factories import placed_order
from tests.support.long import at_length

STEPS = ".step p:first-child"
# Longer than the longest pause between two looks.
A_WHILE_MS = 30_000


def open_page(visit: Visit, order: Order) -> tuple[Page, list[str]]:
    """The page, and every address of an order's that it has asked for since."""
    page = visit().page
    page.clock.install()
    page.goto(link_path(order))
    asked: list[str] = []

    def note(request: Request) -> None:
        if "/orders/" in request.url:
            asked.append(request.url)

    page.on("request", note)
    return page, asked


def move(order: Order, to: OrderStatus) -> None:
    assert transition(order.pk, to, reason="For the test", now=timezone.now())


def test_status_and_timeline_change_in_place(visit: Visit, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    page, asked = open_page(visit, order)
    move(order, OrderStatus.PAID)

    page.clock.run_for(2_000)

    expect(heading(page)).to_have_text("Thank you, your order is paid")
    expect(page.locator(STEPS)).to_have_text(
        ["We received your order.", "Your payment went through."]
    )
    expect(page).to_have_title(re.compile("Thank you, your order is paid ·"))
    expect(page.locator("[data-heard]")).to_have_text("Thank you, your order is paid")
    assert {url.rsplit("/", 2)[1] for url in asked} == {"status"}


@pytest.mark.parametrize("to", [OrderStatus.PAID, *at_length(OrderStatus.PAYMENT_FAILED)])
def test_nothing_is_asked_after_a_final_state(
    visit: Visit, shelf: list[Product], to: OrderStatus
) -> None:
    order = placed_order(shelf[0])
    page, asked = open_page(visit, order)
    move(order, to)
    page.clock.run_for(2_000)
    expect(page.locator("[data-order]")).to_have_attribute("data-status", to.value)
    asked.clear()

    page.clock.run_for(A_WHILE_MS)

    assert asked == []


def test_looks_are_further_and_further_apart(visit: Visit, shelf: list[Product]) -> None:
    page, asked = open_page(visit, placed_order(shelf[0]))

    for _ in range(60):
        page.clock.run_for(1_000)
        page.wait_for_timeout(50)  # for the answer, which takes real time

    assert 3 <= len([url for url in asked if "/status/" in url]) <= 12  # not one in each second


def test_way_to_pay_appears_with_a_decline(visit: Visit, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    page, _ = open_page(visit, order)
    move(order, OrderStatus.PAYMENT_FAILED)

    page.clock.run_for(2_000)

    expect(page.get_by_role("button", name="Pay")).to_be_visible()


def test_unusual_postcode_is_told_and_not_refused(visit: Visit, shelf: list[Product]) -> None:
    visitor = visit()
    visitor.open_checkout()
    hint = visitor.page.locator("[data-postcode-hint]")
    expect(hint).to_be_empty()

    visitor.page.locator("[name=postcode]").fill("12")
    visitor.page.locator("[name=email]").focus()
    expect(hint).to_have_text(
        "Postcodes in Ireland usually look like A65 F4E2. If yours is right, leave it as it is."
    )

    visitor.place_order()
    assert Order.objects.get().postcode == "12"
