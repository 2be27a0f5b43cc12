"""Orders of the release before are put on the list of what is to be sent, by a person's word."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.dispatch import track
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.models import Order, OrderEvent, OrderLine
from checkout.orders.states import DispatchStatus, OrderStatus
from checkout.orders.transitions import transition
from tests.support.factories import placed_order
from tests.support.parcels import order_to_send


@pytest.fixture
def old(shelf: list[Product], monkeypatch: pytest.MonkeyPatch) -> list[Order]:
    """Three paid orders, one of them of last month."""
    monkeypatch.setattr(track, "BATCH", 2)
    orders = [order_to_send((shelf[0], 2)) for _ in range(3)]
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)
    month_ago = timezone.now() - timedelta(days=30)
    Order.objects.filter(pk=orders[0].pk).update(placed_at=month_ago)
    return orders


def run(*options: str) -> str:
    said = StringIO()
    call_command("track_dispatch", "--since", "7d", *options, stdout=said)
    return said.getvalue()


def statuses() -> list[str]:
    return list(Order.objects.order_by("id").values_list("dispatch_status", flat=True))


def test_orders_since_that_time_are_listed_with_who_did_it(old: list[Order]) -> None:
    assert list(orders_to_send()) == []
    assert run("--dry-run") == "2 orders would be put on the list of what is to be sent.\n"
    assert list(orders_to_send()) == []

    assert run("--yes", "--by", "carla").startswith("2 orders were put")

    assert list(orders_to_send()) == old[1:]
    assert statuses() == ["", "unsent", "unsent"]
    events = OrderEvent.objects.filter(actor="carla")
    assert list(events.values_list("order_id", flat=True)) == [order.pk for order in old[1:]]
    assert json.loads(run("--yes", "--json")) == {"dry_run": False, "orders": 0}


def test_nothing_is_done_where_nobody_agrees(old: list[Order]) -> None:
    with pytest.raises(CommandError, match="--yes"):
        run()

    assert statuses() == [""] * 3


def test_what_is_not_to_be_sent_stays_off_the_list(old: list[Order], shelf: list[Product]) -> None:
    refunded, came_back = old[1:]
    transition(refunded.pk, OrderStatus.REFUNDED, reason="Test", now=timezone.now())
    OrderLine.objects.filter(order=came_back).update(shipped=1, returned=1)
    file = order_to_send((shelf[1], 1))
    Product.objects.filter(pk=shelf[1].pk).update(is_delivered=False)
    placed_order(shelf[0])
    Order.objects.update(dispatch_status=DispatchStatus.NOT_RECORDED)

    assert run("--yes").startswith("1 orders were put")

    file.refresh_from_db()
    assert file.dispatch_status == DispatchStatus.NOTHING_TO_SEND
    assert list(orders_to_send()) == []
