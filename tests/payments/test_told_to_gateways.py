"""What a gateway is told of a payment is stored with it, and stays the same in every repetition."""

from dataclasses import replace
from typing import Any

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.dispatch.correct_address import (
    address_of,
    correct_address,
    digest_of_address,
)
from checkout.orders.models import Order
from checkout.orders.privacy.erase import erase_order
from payments.gateways.base import (
    LineKind,
    NotExecuted,
    PaymentRequest,
    PostalAddress,
)
from payments.gateways.example.client import ExampleGateway
from payments.gateways.load import Gateways
from payments.gateways.mollie.client import MollieGateway
from payments.models import Payment
from payments.sandbox.mollie.server import MollieSandbox
from payments.settling.request import request_of
from payments.settling.settle_order import settle_order
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.finished import marked_as_sent
from tests.support.order_with_parts import order_with_parts, rules_of_ireland
from tests.support.till import Till, only

CURIOUS = replace(ExampleGateway.abilities, wants_customer=True, wants_lines=True)


@pytest.fixture
def curious() -> ExampleGateway:
    """A gateway that wants to know who buys, and what."""
    gateway = ExampleGateway()
    gateway.abilities = CURIOUS
    return gateway


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0], shelf[1])


def settle(order: Order, gateway: Any) -> None:
    settle_order(order.number, only(gateway), clock=timezone.now)


def requested() -> PaymentRequest:
    return request_of(Payment.objects.select_related("order").get())


def test_customer_and_goods_are_told_to_a_gateway_that_wants_to_know(
    order: Order, curious: ExampleGateway
) -> None:
    settle(order, curious)

    request = requested()
    assert request.email == order.email
    assert request.delivery == request.billing
    assert request.delivery == PostalAddress(
        full_name=order.full_name,
        address=order.address,
        city=order.city,
        postcode=order.postcode,
        country=order.country,
    )
    assert [(line.kind, line.sku, line.total_minor) for line in request.lines] == [
        (LineKind.GOODS, line.sku, line.total_minor) for line in order.lines.all()
    ]


def test_bill_that_goes_elsewhere_is_told(order: Order, curious: ExampleGateway) -> None:
    elsewhere = {"full_name": "Babbage & Co", "address": "1 Dorset Street", "city": "London"}
    Order.objects.update(billing=elsewhere | {"country": "GB", "vat_id": "GB1"})

    settle(order, curious)

    request = requested()
    assert request.billing == PostalAddress(country="GB", **elsewhere)
    assert request.delivery is not None
    assert request.delivery.city == order.city


def test_lines_add_up_to_what_is_paid(shelf: list[Product], curious: ExampleGateway) -> None:
    rules_of_ireland()
    order = order_with_parts(shelf)

    settle(order, curious)

    request = requested()
    assert {line.kind for line in request.lines} > {LineKind.GOODS, LineKind.DELIVERY}
    assert sum(line.total_minor for line in request.lines) == order.total_minor


def test_order_that_does_not_say_what_makes_its_total_is_told_without_lines(
    order: Order, curious: ExampleGateway
) -> None:
    Order.objects.update(goods_minor=None, total_minor=order.total_minor + 1)

    settle(order, curious)

    assert requested().lines == ()


def test_gateway_that_asks_for_nothing_is_told_nothing(order: Order) -> None:
    settle(order, ExampleGateway())

    request = requested()
    assert Payment.objects.get().details == {}
    assert (request.email, request.delivery, request.billing, request.lines) == ("", None, None, ())


def test_repeated_call_is_the_same_whatever_was_corrected_meanwhile(
    order: Order, curious: ExampleGateway
) -> None:
    told: list[PaymentRequest] = []

    class Listening(FaultyGateway):
        def open(self, request: PaymentRequest, **how: Any) -> Any:
            told.append(request)
            return super().open(request, **how)

    listening = Listening(curious)
    listening.after = {"open": raising(NotExecuted("connection_lost"))}
    settle(order, listening)
    corrected = address_of(order) | {"address": "13 Inkwell Lane"}
    correct_address(
        order,
        address=corrected,
        seen=digest_of_address(order),
        by="grace",
        why="They asked",
        now=timezone.now(),
    )

    settle(order, Listening(curious))

    assert len(told) == 2
    assert told[0] == told[1]


def test_mollie_knows_who_buys_and_what(
    shelf: list[Product],
    mollie_gateway: MollieGateway,
    mollie: MollieSandbox,
    settings: Settings,
) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {"mollie": "payments.gateways.mollie"}
    settings.SHOP_URL = "https://shop.example"
    rules_of_ireland()
    order = order_with_parts(shelf)
    Order.objects.update(payment_method="")  # its customer chooses on Mollie's page

    settle_order(order.number, Gateways({"mollie": mollie_gateway}), clock=timezone.now)

    shown = mollie.account.show(Payment.objects.get().gateway_payment_id)
    assert shown["billingAddress"]["email"] == order.email
    assert shown["shippingAddress"]["streetAndNumber"] == order.address
    assert "shipping_fee" in {line["type"] for line in shown["lines"]}


def test_erased_customer_is_no_longer_with_the_payment(order: Order, till: Till) -> None:
    till.settle(order)
    assert requested().email == order.email
    marked_as_sent(order)

    assert erase_order(order.pk, by="grace", why="Asked by letter", now=timezone.now()) == []

    assert Payment.objects.get().details is None
