"""`manage.py cancel_orders` cancels each order once, paid or not, and says what became of each."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship
from checkout.orders.models import Mail, Order, OrderEvent, OutboxMessage
from checkout.orders.states import OrderStatus
from payments.models import Refund
from tests.support.at_once import at_once
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.till import Till

REASON = "The batch was never printed"


def cancel(*numbers: str, fails: str = "") -> list[dict[str, Any]]:
    out = StringIO()
    wanted = [*numbers, "--reason", REASON, "--by", "ada", "--yes", "--json"]
    if fails:
        with pytest.raises(CommandError, match=fails):
            call_command("cancel_orders", *wanted, stdout=out)
    else:
        call_command("cancel_orders", *wanted, stdout=out)
    found: list[dict[str, Any]] = json.loads(out.getvalue())["orders"]
    return found


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0])
    till.settle(order)
    return Order.objects.get(pk=order.pk)


@pytest.fixture
def unpaid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[1], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    return Order.objects.get(pk=order.pk)


def test_paid_and_unpaid_are_cancelled_once_however_often(
    paid: Order, unpaid: Order, till: Till, shelf: list[Product]
) -> None:
    first = cancel(paid.number, unpaid.number)
    assert [each["outcome"] for each in first] == ["cancelled", "asked"]
    assert [each["outcome"] for each in cancel(paid.number, unpaid.number)] == ["before", "asked"]
    till.deliver_messages()
    again = cancel(paid.number, unpaid.number, paid.number)
    assert [each["outcome"] for each in again] == ["before", "before"]
    till.deliver_messages()

    paid.refresh_from_db()
    unpaid.refresh_from_db()
    assert (paid.status, unpaid.status) == (OrderStatus.REFUNDED, OrderStatus.CANCELLED)
    assert Refund.objects.get().amount_minor == paid.total_minor
    assert paid.mails.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    assert unpaid.outbox_messages.get(kind=OutboxMessage.Kind.CANCEL_ORDER).generation == 1
    events = OrderEvent.objects.filter(kind=OrderEvent.Kind.STAFF, actor="ada")
    assert list(events.values_list("explanation", flat=True)) == [REASON, REASON]
    assert [product.stock for product in Product.objects.order_by("pk")[:2]] == [100_000] * 2
    assert violations() == []


def test_two_who_run_it_at_once_cancel_once(paid: Order, till: Till) -> None:
    at_once(*[lambda: cancel(paid.number)] * 4)
    till.deliver_messages()

    assert Refund.objects.count() == 1
    assert paid.events.filter(kind=OrderEvent.Kind.STAFF, actor="ada").count() == 1


def test_what_was_sent_is_left_and_the_others_are_cancelled(
    paid: Order, unpaid: Order, shelf: list[Product], till: Till
) -> None:
    ship(paid, None, key="k", by="clerk", now=timezone.now())

    found = cancel(paid.number, unpaid.number, "999999-99", fails="2 of 3 orders")

    assert [each["outcome"] for each in found] == ["impossible", "asked", "unknown"]
    assert "has been sent" in found[0]["says"]
    assert not Refund.objects.exists()


def test_order_that_is_being_paid_is_decided_by_its_payment(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])

    [found] = cancel(order.number, fails="1 of 1")

    assert found["outcome"] == "impossible"
    assert "waits for its customer" in found["says"]


def test_nothing_is_done_without_an_answer(paid: Order) -> None:
    with pytest.raises(CommandError, match="Repeat with --yes") as refused:
        call_command("cancel_orders", paid.number, "--reason", REASON)

    assert refused.value.returncode == 2
    assert not paid.events.filter(kind=OrderEvent.Kind.STAFF).exists()


def test_table_says_what_became_of_each(paid: Order) -> None:
    out = StringIO()

    call_command("cancel_orders", paid.number, "--reason", REASON, "--yes", stdout=out)

    assert f"{paid.number}  paid  cancelled" in out.getvalue()
    assert "1 of 1 orders." in out.getvalue()
