"""The dashboard's figures are the books', and cost the same at any size."""

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage, ProcessAlive, QueueSeen
from checkout.orders.operations.gauges import measure_shop
from checkout.orders.operations.liveness import STALE_AFTER_SECONDS
from checkout.orders.operations.queue_status import database_status
from checkout.runtime.metrics import NEEDS_PERSON, OUTBOX_AGE, WAITING_TOO_LONG
from payments.admin.dashboard import figures
from payments.models import Payment
from tests.support.factories import placed_order
from tests.support.till import Till

DASHBOARD = "/admin/dashboard/"


@pytest.fixture
def day(shelf: list[Product], till: Till) -> list[Order]:
    """Three paid, one of them partly refunded, one declined, one under way; and an old one."""
    orders = [placed_order(shelf[0]) for _ in range(3)]
    orders.append(placed_order(shelf[0], payment_method="pm_card_chargeDeclined"))
    for order in orders:
        till.settle(order)
    under_way = placed_order(shelf[0])
    hour_ago = timezone.now() - timedelta(hours=1)
    Order.objects.filter(pk=under_way.pk).update(status_changed_at=hour_ago)
    old = placed_order(shelf[0])
    till.settle(old)
    ago = timezone.now() - timedelta(days=3)
    Order.objects.filter(pk=old.pk).update(placed_at=ago)
    Order.objects.filter(pk=orders[0].pk).update(refunded_minor=301, resubmission_count=4)
    return [*orders, under_way, old]


def test_figures_are_those_of_the_last_day(day: list[Order]) -> None:
    shown = figures(now=timezone.now())

    orders, revenue, absorbed = shown["charts"]
    assert (orders.total, revenue.total, absorbed.total) == ("5", "€27.02", "4")
    assert shown["time_to_paid"]["orders"] == 3
    states = {row.get("status") or row["attention"]: row["orders"] for row in shown["states"]}
    assert states["paid"] == 3
    assert states["payment_failed"] == states["placed"] == 1
    assert (states["person"], states["waiting"]) == (0, 1)
    assert shown["outbox"]["messages"] >= 1


def test_metrics_command_and_dashboard_tell_the_same(day: list[Order]) -> None:
    now = timezone.now()
    Order.objects.filter(pk=day[0].pk).update(needs_person="A second charge")
    first, *_ = OutboxMessage.objects.filter(published_at=None).order_by("pk")
    OutboxMessage.objects.filter(pk=first.pk).update(available_at=now - timedelta(minutes=7))

    shown, told = figures(now=now), database_status(now=now)
    measure_shop(now=now)

    rows = {row["attention"]: row["orders"] for row in shown["states"] if "attention" in row}
    assert rows["waiting"] == told.waiting_too_long == WAITING_TOO_LONG._value.get() == 1
    assert rows["person"] == told.for_a_person == NEEDS_PERSON._value.get() == 1
    assert shown["outbox"]["messages"] == told.outbox.due
    assert told.outbox.oldest_due_seconds == OUTBOX_AGE._value.get() == 7 * 60
    assert shown["outbox"]["oldest"] == now - timedelta(minutes=7)


def test_median_and_slowest_are_of_the_first_payment(day: list[Order]) -> None:
    for seconds, payment in enumerate(Payment.objects.filter(status="paid").order_by("id")[:3], 1):
        settled = payment.order.placed_at + timedelta(seconds=seconds)
        Payment.objects.filter(pk=payment.pk).update(settled_at=settled)

    told = figures(now=timezone.now())["time_to_paid"]

    assert float(told["median"]) == pytest.approx(2)
    assert float(told["p99"]) == pytest.approx(2.98)


def test_it_is_drawn_and_costs_the_same_for_more_orders(
    support: Client, day: list[Order], shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert support.get(DASHBOARD).status_code == 200
        return len(captured)

    page = support.get(DASHBOARD).content.decode()
    assert page.count("<svg role=") == 3
    before = statements()
    for _ in range(10):
        placed_order(shelf[0])

    assert statements() == before


def test_empty_shop_has_one_too(support: Client) -> None:
    assert "Nothing was paid in this time." in support.get(DASHBOARD).content.decode()


def test_queue_and_processes_are_told_without_asking_them(support: Client) -> None:
    now = timezone.now()
    QueueSeen.objects.create(waiting=7, in_hand=2, delayed=0, dead_letters=3, seen_at=now)
    gone = now - timedelta(seconds=STALE_AFTER_SECONDS + 1)
    for name, kind, seen_at in [
        ("a:1", "worker", now),
        ("a:2", "worker", now),
        ("a:3", "worker", gone),
        ("a:4", "publisher", gone),
    ]:
        ProcessAlive.objects.create(name=name, kind=kind, seen_at=seen_at)

    shown = figures(now=now)["processes"]
    page = support.get(DASHBOARD).content.decode()

    assert {row["kind"]: (row["alive"], row["seen_at"]) for row in shown} == {
        "worker": (2, now),
        "publisher": (0, gone),
        "mailer": (0, None),
    }
    assert "7 waiting, 2 in hand" in page
    assert "3 dead letters." in page


def test_queue_that_nobody_has_looked_at_is_not_called_empty(support: Client) -> None:
    assert "No worker has looked yet." in support.get(DASHBOARD).content.decode()
