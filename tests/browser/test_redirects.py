"""Paying on a gateway's own page: approved, refused, abandoned, promised, in another browser."""

import pytest
from django.utils import timezone
from playwright.sync_api import Page, expect
from pytest_django.fixtures import Settings
from pytest_django.live_server_helper import LiveServer

from checkout.orders.models import Order
from payments.gateways.load import Gateways
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.sandbox.mollie.server import MollieSandbox
from payments.settling.settle_order import settle_order
from tests.browser.conftest import Visit
from tests.browser.pictures import picture
from tests.browser.visitor import Visitor, expect_status
from tests.payments.bank_transfer.conftest import deliver
from tests.support.long import at_length


@pytest.fixture(autouse=True)
def _shop_with_both(settings: Settings, live_server: LiveServer) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {
        "stripe": "payments.gateways.stripe",
        "mollie": "payments.gateways.mollie",
    }
    settings.SHOP_URL = live_server.url


@pytest.fixture
def gateways(mollie_gateway: MollieGateway, gateway: StripeGateway) -> Gateways:
    return Gateways({"mollie": mollie_gateway, "stripe": gateway})


def buy(visitor: Visitor, gateways: Gateways) -> Page:
    """The order's page, which leads to the gateway's."""
    page = visitor.page
    page.goto("/products/notebook-01/")
    page.locator("form[action='/cart/add/'] button").first.click()
    page.locator("a[href='/checkout/']").first.click()
    visitor.type_in(page)
    page.locator("input[name=gateway][value=mollie]").check()
    page.locator(".press button:visible").click()
    expect(page.locator("[data-order]")).to_be_visible()
    settle_order(Order.objects.get().number, gateways, clock=timezone.now)
    expect_status(page, "action_required")
    return page


def choose(page: Page, status: str) -> None:
    page.locator(f"button[name=status][value={status}]").click()


PAID, FAILED, PENDING = ("paid", "paid"), ("failed", "payment_failed"), ("pending", "promised")
ENGLISH_DESK, GERMAN_PHONE = ("desktop", 1280, "en"), ("phone", 390, "de")
GERMAN_DESK, ENGLISH_PHONE = ("desktop", 1280, "de"), ("phone", 390, "en")


@pytest.mark.parametrize(
    ("chosen", "status", "device", "width", "language"),
    [
        (*PAID, *ENGLISH_DESK),
        (*FAILED, *GERMAN_PHONE),
        *at_length((*PAID, *GERMAN_PHONE), (*FAILED, *ENGLISH_DESK)),
        *at_length((*PENDING, *ENGLISH_DESK), (*PENDING, *GERMAN_PHONE)),
        *at_length(*((*each, *GERMAN_DESK) for each in (PAID, FAILED, PENDING))),
        *at_length(*((*each, *ENGLISH_PHONE) for each in (PAID, FAILED, PENDING))),
    ],
)
def test_customer_comes_back_from_the_gateways_page(
    visit: Visit,
    gateways: Gateways,
    chosen: str,
    status: str,
    device: str,
    width: int,
    language: str,
) -> None:
    page = buy(visit(locale=language, width=width), gateways)
    picture(page, f"redirect-{device}-{language}")

    page.locator("[data-order] a.button").click()
    expect(page.get_by_text("No money moves")).to_be_visible()
    choose(page, chosen)
    expect(page.locator("[data-order]")).to_be_visible()
    deliver(gateways)

    expect_status(page, status)
    picture(page, f"redirect-{status}-{device}-{language}")
    assert Payment.objects.count() == 1


def test_customer_who_came_back_without_paying_pays_by_card(
    visit: Visit, gateways: Gateways, mollie: MollieSandbox
) -> None:
    page = buy(visit(), gateways)
    page.locator("[data-order] a.button").click()
    choose(page, "open")
    expect(page.locator("[data-order]")).to_be_visible()
    deliver(gateways)
    expect_status(page, "action_required")

    page.locator("input[name=gateway][value=stripe]").check()
    page.locator("input[value=pm_card_visa]").check()
    page.locator("form.pay button:visible").first.click()
    expect_status(page, "placed")
    deliver(gateways)

    expect_status(page, "paid")
    assert mollie.account.charges() == []
    assert [payment.status for payment in Payment.objects.order_by("round")] == [
        "cancelled",
        "paid",
    ]


def test_approval_in_another_browser_shows_on_the_page_that_was_left_open(
    visit: Visit, gateways: Gateways
) -> None:
    page = buy(visit(), gateways)
    app = visit(width=390).page
    app.goto(Order.objects.get().action_url)

    choose(app, "paid")

    expect(app.get_by_text("another browser than the one you ordered in")).to_be_visible()
    deliver(gateways)
    expect_status(page, "paid")
