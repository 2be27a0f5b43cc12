from datetime import date

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.bank_transfer.receive import Became, Entry, record
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.settling.gateway_calls import Clock
from payments.worker.handle import HANDLERS
from tests.support.factories import placed_order


@pytest.fixture(autouse=True)
def _both_are_offered(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []


@pytest.fixture
def gateways(gateway: StripeGateway) -> Gateways:
    return Gateways({"stripe": gateway, "bank_transfer": BankTransferGateway()})


@pytest.fixture
def order(shelf: list[Product], gateways: Gateways) -> Order:
    """It waits for its customer's transfer of 10.01 euros."""
    return waiting_order(shelf[0], gateways)


def waiting_order(product: Product, gateways: Gateways) -> Order:
    order = placed_order(product, payment_method="")
    Order.objects.filter(pk=order.pk).update(gateway="bank_transfer")
    deliver(gateways)
    order.refresh_from_db()
    return order


def deliver(gateways: Gateways, *, clock: Clock = timezone.now) -> None:
    """What publisher and worker do with everything in the outbox, whenever it is due."""
    while message := OutboxMessage.objects.filter(published_at=None).order_by("id").first():
        OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
        HANDLERS[message.kind](message.order.number, gateways, clock=clock)


def entry(text: str, amount_minor: int = 1001, *, reference: str = "B-1") -> Entry:
    return Entry(
        bank_reference=reference,
        booked_on=date(2026, 11, 27),
        amount_minor=amount_minor,
        currency="EUR",
        text=text,
    )


def came(text: str, amount_minor: int = 1001, *, reference: str = "B-1") -> Became:
    received = entry(text, amount_minor, reference=reference)
    return record(received, by="ada", now=timezone.now())
