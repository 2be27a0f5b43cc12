"""A gateway that refuses the shop itself: one page for a person, and orders that go on alone."""

import logging
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.sweep import sweep
from checkout.orders.states import OrderStatus
from checkout.runtime import metrics
from payments.gateways.base import GatewayMisconfigured, RefundRefused
from payments.gateways.stripe.client import StripeGateway
from payments.models import GatewayRefusal, Payment
from payments.refunds import request_refund
from payments.sandbox.server import SandboxServer
from payments.settling import refused_shop
from payments.worker.handle import HANDLERS
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.till import Till, only

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=timezone.get_default_timezone())
A_DAY = timedelta(days=1)


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def faulty(gateway: StripeGateway) -> FaultyGateway:
    return FaultyGateway(gateway)


def refuse_everything(faulty: FaultyGateway, code: str = "api_key_expired") -> None:
    for step in ("open", "confirm", "retrieve", "cancel", "refund", "refunds"):
        faulty.before[step] = raising(GatewayMisconfigured(code))


def pages(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.ERROR]


def deliver_due(clock: Clock, gateway: FaultyGateway) -> None:
    due = OutboxMessage.objects.filter(published_at=None, available_at__lte=clock.now)
    for message in list(due.select_related("order")):
        OutboxMessage.objects.filter(pk=message.pk).update(published_at=clock.now)
        HANDLERS[message.kind](message.order.number, only(gateway), clock=clock)


def live_until(end: datetime, clock: Clock, gateway: FaultyGateway) -> None:
    """Publisher, worker and sweep, at each moment at which there is something to do."""
    while clock.now < end:
        waiting = OutboxMessage.objects.filter(published_at=None).order_by("available_at")
        first = waiting.values_list("available_at", flat=True).first()
        clock.now = min(end, max(first or end, clock.now + timedelta(minutes=2)))
        deliver_due(clock, gateway)
        sweep(now=clock.now)


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("count", [4, *at_length(30)])
def test_day_of_refusals_pages_once_and_orders_are_paid_when_the_key_is_mended(
    shelf: list[Product],
    faulty: FaultyGateway,
    till: Till,
    caplog: pytest.LogCaptureFixture,
    count: int,
) -> None:
    caplog.set_level(logging.ERROR)  # what is only noted of thousands of calls takes long to write
    clock = Clock()
    refuse_everything(faulty)
    orders = [placed_order(shelf[0]) for _ in range(count)]
    Order.objects.update(placed_at=NOON, sweep_at=NOON + timedelta(minutes=15))
    OutboxMessage.objects.update(available_at=NOON)

    live_until(NOON + A_DAY, clock, faulty)

    assert len(pages(caplog)) == 1
    assert len(faulty.calls) <= 60 * count
    assert OutboxMessage.objects.filter(published_at=None).count() == count
    assert not Order.objects.exclude(needs_person="").exists()

    faulty.before.clear()
    live_until(clock.now + timedelta(hours=1, minutes=2), clock, faulty)

    assert set(Order.objects.values_list("status", flat=True)) == {OrderStatus.PAID}
    assert sorted(charge.order for charge in till.charges()) == sorted(
        order.number for order in orders
    )
    assert len(pages(caplog)) == 1
    assert GatewayRefusal.objects.get().ended_at is not None


def test_first_answer_has_all_that_waited_tried_within_a_minute(
    shelf: list[Product], faulty: FaultyGateway
) -> None:
    clock = Clock()
    refuse_everything(faulty)
    for _ in range(3):
        placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=NOON)
    live_until(NOON + timedelta(hours=6), clock, faulty)
    faulty.before.clear()

    newest = placed_order(shelf[1])
    OutboxMessage.objects.filter(order=newest).update(published_at=clock.now)
    HANDLERS["settle_payment"](newest.number, only(faulty), clock=clock)

    waiting = OutboxMessage.objects.filter(published_at=None)
    assert waiting.count() == 3
    assert all(
        message.available_at <= clock.now + timedelta(minutes=1, seconds=1) for message in waiting
    )


def test_refusal_is_on_the_dashboard_and_a_metric_until_it_ends(
    shelf: list[Product], sandbox: SandboxServer, till: Till
) -> None:
    sandbox.faults.is_key_refused = True
    order = placed_order(shelf[0])
    till.settle(order)
    client = Client()
    client.force_login(User.objects.create_superuser("ada"))

    refused_shop.sample_refusal()
    assert metrics.GATEWAY_REFUSES._value.get() == 1
    page = client.get("/admin/dashboard/").content.decode()
    assert "api_key_invalid" in page

    sandbox.faults.is_key_refused = False
    till.settle(order)
    refused_shop.sample_refusal()
    assert metrics.GATEWAY_REFUSES._value.get() == 0
    assert "api_key_invalid" not in client.get("/admin/dashboard/").content.decode()


def test_refusal_that_another_process_met_is_ended_by_the_first_answer_here(
    shelf: list[Product], faulty: FaultyGateway, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused_shop.begin_refusal("stripe", "api_key_expired", now=timezone.now())
    refused_shop.forget_what_was_seen()  # a process that has seen no refusal
    monkeypatch.setattr(refused_shop, "LOOK_SECONDS", 0.0)

    till.settle(placed_order(shelf[0]))

    assert refused_shop.current_refusals() == []


def test_refusal_that_comes_back_soon_is_the_same_and_later_another(
    transactional_db: None, caplog: pytest.LogCaptureFixture
) -> None:
    """During a change of keys some workers have the old one."""
    now = NOON
    for _ in range(3):
        refused_shop.begin_refusal("stripe", "api_key_expired", now=now)
        refused_shop.end_refusal("stripe", now=now + timedelta(minutes=5))
        now += timedelta(minutes=20)
    assert len(pages(caplog)) == 1

    refused_shop.begin_refusal("stripe", "api_key_expired", now=now + timedelta(hours=2))

    assert len(pages(caplog)) == 2


def test_wishes_and_refunds_of_a_refused_shop_page_nobody_again(
    shelf: list[Product], faulty: FaultyGateway, till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    order, declined = (
        placed_order(shelf[0]),
        placed_order(shelf[1], payment_method="pm_card_chargeDeclined"),
    )
    till.deliver_messages()
    payment = Payment.objects.get(order=order)
    request_refund(payment, amount_minor=100, reason="Torn", requested_by=None, now=timezone.now())
    refuse_everything(faulty)

    for kind, number in (
        ("refund", order.number),
        ("check_payment", order.number),
        ("cancel_order", declined.number),
    ):
        HANDLERS[kind](number, only(faulty), clock=timezone.now)

    assert len(pages(caplog)) == 1


def test_refusal_of_one_refund_shows_that_the_shop_is_not_refused(
    shelf: list[Product], faulty: FaultyGateway, till: Till
) -> None:
    order = placed_order(shelf[0])
    till.deliver_messages()
    payment = Payment.objects.get(order=order)
    request_refund(payment, amount_minor=100, reason="Torn", requested_by=None, now=timezone.now())
    refused_shop.begin_refusal("stripe", "api_key_expired", now=timezone.now())
    faulty.before["refund"] = raising(RefundRefused("charge_disputed"))

    HANDLERS["refund"](order.number, only(faulty), clock=timezone.now)

    assert refused_shop.current_refusals() == []
