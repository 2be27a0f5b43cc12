"""What staff see and do with an order whose price the customer's bank keeps until it is sent."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.placing.place import place_order
from checkout.orders.states import OrderStatus
from payments.models import Capture, Payment, Refund
from tests.admin.conftest import order_page, signed_in
from tests.admin.test_goods import WHY, press, shown_back, url, wanted
from tests.admin.test_warehouse import LIST, opened, ship_address, text_of
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, purchase
from tests.support.till import Till


@pytest.fixture
def clerk(staff_groups: None) -> Client:
    return signed_in("clerk", group="Warehouse")


def set_aside(shelf: list[Product], till: Till, method: str = "pm_card_visa") -> Order:
    """Two of €10.01 and one of €10.02."""
    basket = OpenBasket([line(shelf[0], 2), line(shelf[1])])
    order = place_order(purchase(payment_method=method), basket, now=timezone.now())
    till.settle(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.AUTHORISED
    return order


@pytest.fixture(autouse=True)
def _charged_at_dispatch(settings: Settings) -> None:
    settings.CAPTURE = "dispatch"


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    return set_aside(shelf, till)


def test_clerk_finds_it_among_what_is_to_be_sent_and_sends_it_once(
    clerk: Client, support: Client, order: Order, till: Till
) -> None:
    assert order.number in text_of(clerk, LIST)
    page = text_of(clerk, ship_address(order))
    assert "The customer's bank keeps the money until" in page
    assert "everything goes in this parcel" not in page

    form = opened(clerk, order)
    for _ in range(3):
        clerk.post(ship_address(order), form)
    till.deliver_messages()

    assert [charge.amount_minor for charge in till.charges()] == [3004]
    page = order_page(support, order)
    assert "€30.04 charged" in page
    assert "Charge of €30.04 for a parcel: Charged" in page
    assert violations() == []


def test_clerk_is_told_what_goes_in_one_parcel_only(
    clerk: Client, shelf: list[Product], till: Till
) -> None:
    order = set_aside(shelf, till, "pm_sandbox_one_capture")
    assert "everything goes in this parcel" in text_of(clerk, ship_address(order))
    form = opened(clerk, order)
    some = {name: "1" if name.startswith("pieces_") else typed for name, typed in form.items()}

    answer = clerk.post(ship_address(order), some).content.decode()

    assert "everything that is left has to go in one parcel" in answer
    assert not order.shipments.exists()


def test_support_takes_off_what_is_not_sent(support: Client, order: Order, till: Till) -> None:
    assert "Take off what is not sent (payment 1)" in order_page(support, order)
    form, page = shown_back(support, order, wanted(order, 1))
    assert "the bank keeps €30.04 that is charged when it is sent" in page
    assert "<strong>€10.01</strong> will not be charged; 1 pieces will never be sent" in page
    assert 'value="Do not charge €10.01"' in page

    assert press(support, order, "refund-lines", form, times=3) == [302] * 3
    till.deliver_messages()

    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.is_release) == (1001, True)
    page = order_page(support, order)
    assert "€10.01 is not to be charged: 1 × SKU-01" in page
    assert "your bank has set €20.03 aside" in page
    assert violations() == []


def test_support_cancels_it_and_nothing_was_charged(
    support: Client, order: Order, till: Till
) -> None:
    page = support.get(url(order, "cancel-paid")).content.decode()
    assert "Nothing was charged: its bank keeps the money, and is told to set it free." in page

    assert press(support, order, "cancel-paid", WHY, times=3) == [302] * 3
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, till.charges()) == (OrderStatus.CANCELLED, [])
    assert Payment.objects.get().status == "cancelled"
    assert (Capture.objects.count(), Refund.objects.count()) == (0, 0)
    assert violations() == []
