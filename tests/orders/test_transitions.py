"""An order moves only where the table lets it, once, and never without a trace."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.paying import pay_again
from checkout.orders.states import EXPIRING, TRANSITIONS, UNSETTLED, OrderStatus
from checkout.orders.transitions import transition
from tests.support.factories import placed_order


def order_in(status: OrderStatus, shelf: list[Product]) -> Order:
    order = placed_order(shelf[0])
    Order.objects.filter(pk=order.pk).update(
        status=status, sweep_at=order.sweep_at if status in UNSETTLED else None
    )
    return order


@pytest.mark.parametrize("source", OrderStatus)
@pytest.mark.parametrize("target", OrderStatus)
def test_moves_are_those_of_the_table(
    shelf: list[Product], source: OrderStatus, target: OrderStatus
) -> None:
    order = order_in(source, shelf)
    events_before = order.events.count()

    moved = transition(order.pk, target, reason="Test", now=timezone.now())

    order.refresh_from_db()
    allowed = target in TRANSITIONS[source]
    assert moved is allowed
    assert order.status == (target if allowed else source)
    assert order.events.count() == events_before + allowed
    assert (order.sweep_at is not None) == (OrderStatus(order.status) in UNSETTLED)


def test_of_many_at_once_one_moves_the_order(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    barrier = threading.Barrier(8)

    def move(_: int) -> bool:
        try:
            barrier.wait()
            return transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        moved = list(pool.map(move, range(8)))

    assert sum(moved) == 1
    assert order.events.filter(to_status="paid").count() == 1


def test_event_and_status_come_together_or_not_at_all(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = placed_order(shelf[0])

    def fail(*args: object, **fields: object) -> None:
        raise RuntimeError("no event")

    monkeypatch.setattr("checkout.orders.transitions.record_transition", fail)
    with pytest.raises(RuntimeError):
        transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED


def test_unsettled_order_without_a_sweep_time_is_refused_by_the_database(
    shelf: list[Product],
) -> None:
    order = placed_order(shelf[0])

    with (
        pytest.raises(IntegrityError, match="orders_order_unsettled_is_swept"),
        transaction.atomic(),
    ):
        Order.objects.filter(pk=order.pk).update(sweep_at=None)


def test_paying_again_opens_one_round_however_often_it_is_pressed(shelf: list[Product]) -> None:
    order = order_in(OrderStatus.PAYMENT_FAILED, shelf)
    order.outbox_messages.update(published_at=timezone.now())
    barrier = threading.Barrier(8)

    def press(_: int) -> bool:
        try:
            barrier.wait()
            return pay_again(
                order,
                gateway="stripe",
                payment_method="pm_card_visa",
                failed_round=1,
                now=timezone.now(),
            )
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        opened = list(pool.map(press, range(8)))

    assert sum(opened) == 1
    order.refresh_from_db()
    assert (order.status, order.payment_round) == (OrderStatus.PLACED, 2)
    assert order.outbox_messages.count() == 2


def test_late_press_for_an_earlier_decline_changes_nothing(shelf: list[Product]) -> None:
    order = order_in(OrderStatus.PAYMENT_FAILED, shelf)
    Order.objects.filter(pk=order.pk).update(payment_round=2)  # declined a second time

    assert not pay_again(
        order, gateway="stripe", payment_method="pm_x", failed_round=1, now=timezone.now()
    )

    order.refresh_from_db()
    assert (order.status, order.payment_round) == (OrderStatus.PAYMENT_FAILED, 2)


@pytest.mark.parametrize("status", [s for s in OrderStatus if s not in EXPIRING])
def test_only_an_order_that_waits_for_its_customer_is_paid_again(
    shelf: list[Product], status: OrderStatus
) -> None:
    order = order_in(status, shelf)

    assert not pay_again(
        order, gateway="stripe", payment_method="pm_x", failed_round=None, now=timezone.now()
    )

    order.refresh_from_db()
    assert (order.status, order.payment_round) == (status, 1)
