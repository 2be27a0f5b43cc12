"""A customer cancels on the order's page in a real browser, and sees the parcels that were sent."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship
from checkout.orders.links import link_path
from checkout.orders.models import Mail, Order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.browser.conftest import Visit, needs_axe
from tests.browser.screenshots import violations_of
from tests.browser.visitor import heading
from tests.support.factories import placed_order
from tests.support.long import at_length


def paid_order(*products: Product) -> Order:
    order = placed_order(*products)
    transition(order.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
    order.refresh_from_db()
    return order


@pytest.mark.parametrize(
    ("javascript", "width"),
    [
        pytest.param(True, 1280, id="scripts-desktop"),
        pytest.param(False, 360, id="no_scripts-phone"),
    ],
)
def test_paid_order_is_cancelled_by_one_confirmation_pressed_twice(
    visit: Visit, shelf: list[Product], javascript: bool, width: int
) -> None:
    order = paid_order(shelf[0], shelf[1])
    page = visit(javascript=javascript, width=width).page
    page.goto(link_path(order))

    page.get_by_role("link", name="Cancel this order").click()
    expect(heading(page)).to_have_text("Cancel this order?")
    expect(page.get_by_text("€20.03 goes back to the account or card")).to_be_visible()
    page.get_by_role("button", name="Cancel the order").dblclick()

    expect(heading(page)).to_have_text("This order was cancelled")
    expect(page.get_by_text("It was cancelled at your request.")).to_be_visible()
    expect(page.get_by_role("link", name="Cancel this order")).to_have_count(0)
    assert order.mails.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    page.goto(f"/orders/{order.reference}/cancel/")  # as it stands in the browser's history
    expect(heading(page)).to_have_text("This order was cancelled")


def test_press_after_it_was_sent_is_told_so(visit: Visit, shelf: list[Product]) -> None:
    order = paid_order(shelf[0])
    page = visit(javascript=False, width=360).page
    page.goto(link_path(order))
    page.get_by_role("link", name="Cancel this order").click()
    ship(order, None, key="clerk-1", by="clerk", tracking_number="RR1", now=timezone.now())

    page.get_by_role("button", name="Cancel the order").click()

    expect(heading(page)).to_have_text("This order cannot be cancelled")
    expect(page.get_by_role("alert")).to_contain_text("nothing was cancelled")
    page.get_by_role("link", name="Back to your order").click()
    expect(heading(page)).to_have_text("Your order was sent")
    expect(page.get_by_role("region", name="Parcels")).to_contain_text("RR1")


def test_parcel_appears_on_a_page_that_is_still_looking(visit: Visit, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    page = visit().page
    page.clock.install()
    page.goto(link_path(order))
    expect(page.get_by_role("region", name="Parcels")).to_have_count(0)
    transition(order.pk, OrderStatus.PAID, reason="For the test", now=timezone.now())
    order.refresh_from_db()
    ship(order, None, key="clerk-1", by="clerk", tracking_number="RR1", now=timezone.now())

    page.clock.run_for(2_000)

    expect(heading(page)).to_have_text("Your order was sent")
    expect(page.get_by_role("region", name="Parcels")).to_contain_text("RR1")


@needs_axe
@pytest.mark.parametrize("locale", ["de-DE", *at_length("en-US")])
def test_pages_of_parcels_and_of_cancelling_break_no_rule(
    visit: Visit, shelf: list[Product], locale: str
) -> None:
    unsent, sent = paid_order(*shelf[:3]), paid_order(*shelf[:3])
    first = sent.lines.first()
    assert first
    for key, pieces in [("a", {first.pk: 1}), ("b", None)]:
        ship(sent, pieces, key=key, by="clerk", tracking_number="RR 123 IE", now=timezone.now())
    page = visit(width=360, locale=locale).page
    page.goto(link_path(sent))
    violations = violations_of(page, "parcels")

    page.goto(link_path(unsent))
    page.goto(f"/orders/{unsent.reference}/cancel/")
    violations += violations_of(page, "cancel")

    assert violations == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
