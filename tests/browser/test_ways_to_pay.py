"""Several ways to pay on one page: each shows its own field, and the order's page what to do."""

import pytest
from django.utils import timezone
from playwright.sync_api import expect
from pytest_django.fixtures import Settings

from checkout.orders.models import Order
from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.settling.settle_order import settle_order
from tests.browser.conftest import Visit
from tests.browser.pictures import picture
from tests.browser.visitor import expect_status
from tests.payments.bank_transfer.conftest import came, deliver
from tests.support.long import at_length


@pytest.fixture(autouse=True)
def _both_are_offered(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []


@pytest.fixture
def gateways(gateway: StripeGateway) -> Gateways:
    return Gateways({"stripe": gateway, "bank_transfer": BankTransferGateway()})


@pytest.mark.parametrize(
    ("device", "width", "language"),
    [
        ("phone", 390, "de"),
        *at_length(("desktop", 1280, "en"), ("desktop", 1280, "de"), ("phone", 390, "en")),
    ],
)
def test_transfer_is_chosen_awaited_and_paid(
    visit: Visit, gateways: Gateways, device: str, width: int, language: str
) -> None:
    visitor = visit(locale=language, width=width)
    page = visitor.page
    page.goto("/products/notebook-01/")
    page.locator("form[action='/cart/add/'] button").first.click()
    page.locator("a[href='/checkout/']").first.click()
    visitor.type_in(page)
    card = page.locator("input[value=pm_card_visa]")
    expect(card).to_be_visible()
    picture(page, f"checkout-card-{device}-{language}")

    page.locator("input[name=gateway][value=bank_transfer]").check()
    expect(card).to_be_hidden()
    picture(page, f"checkout-transfer-{device}-{language}")
    page.locator(".press button:visible").click()
    expect(page.locator("[data-order]")).to_be_visible()
    order = Order.objects.get()
    settle_order(order.number, gateways, clock=timezone.now)

    expect_status(page, "action_required")
    expect(page.get_by_text("DE89 3704 0044 0532 0130 00")).to_be_visible()
    picture(page, f"order-transfer-{device}-{language}")

    came(order.number, order.total_minor)
    deliver(gateways)
    expect_status(page, "paid")
    picture(page, f"order-paid-{device}-{language}")
