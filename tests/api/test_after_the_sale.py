"""What a client is told of its orders after the sale, and cancelling what is paid."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.models import Mail, Order, OutboxMessage, Shipment
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.api_caller import ORDERS, PURCHASE, Answer, Caller
from tests.support.till import Till

TWO_LINES = PURCHASE | {
    "lines": [{"sku": "SKU-01", "quantity": 2}, {"sku": "SKU-02", "quantity": 1}],
    "expected_total": "30.04",
}


def paid(caller: Caller, key: str | None = None) -> Order:
    answer = caller.place(key, TWO_LINES)
    assert answer.status == 201, answer.body
    order = Order.objects.get(reference=answer.json["reference"])
    assert transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    return order


def send(order: Order, key: str = "k", **quantities: int) -> Shipment:
    lines = {line.sku.replace("-", ""): line.pk for line in order.lines.all()}
    return ship(
        order,
        {lines[sku]: count for sku, count in quantities.items()} or None,
        key=f"{order.pk}-{key}",
        tracking_number="RR1",
        by="clerk",
        now=timezone.now(),
    )


def read(caller: Caller, order: Order) -> dict[str, object]:
    told: dict[str, object] = caller.get(f"{ORDERS}{order.reference}/").json
    return told


def cancel(caller: Caller, order: Order, key: str = "c-1") -> Answer:
    return caller.post(f"{ORDERS}{order.reference}/cancel/", {}, key)


def test_client_is_told_how_far_its_order_is_sent(caller: Caller) -> None:
    order = paid(caller)
    first, _ = order.lines.all()
    sent = send(order, SKU01=1)

    partly = read(caller, order)
    send(order, "rest")

    assert partly["dispatch_status"] == "partly_sent"
    assert partly["shipments"] == [
        {
            "id": sent.pk,
            "method": "",
            "tracking_number": "RR1",
            "tracking_link": "",
            "sent_at": partly["shipments"][0]["sent_at"],  # type: ignore[index] # a list in JSON
            "lines": [{"id": first.pk, "sku": "SKU-01", "quantity": 1}],
        }
    ]
    told = read(caller, order)
    assert told["dispatch_status"] == "sent"
    assert len(told["shipments"]) == 2  # type: ignore[arg-type] # a list in JSON


def test_parcel_that_was_marked_by_mistake_is_not_told(caller: Caller) -> None:
    order = paid(caller)
    send(order, "kept", SKU02=1)
    undo_shipment(send(order, "undone"), by="clerk", why="Mistake", now=timezone.now())

    told = read(caller, order)

    assert told["dispatch_status"] == "partly_sent"
    assert [each["lines"][0]["sku"] for each in told["shipments"]] == ["SKU-02"]  # type: ignore[attr-defined] # a list in JSON


def test_first_answer_about_an_order_stays_the_same_after_it_is_sent(caller: Caller) -> None:
    first = caller.place("k-1", TWO_LINES)
    order = Order.objects.get()
    transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    send(order)

    again = caller.place("k-1", TWO_LINES)

    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body == first.body
    assert (first.json["dispatch_status"], first.json["shipments"]) == ("unsent", [])


def test_list_of_orders_runs_the_same_statements_for_any_number_of_parcels(
    caller: Caller,
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as ran:
            assert caller.get(ORDERS).status == 200
        return len(ran)

    send(paid(caller), SKU01=1)
    few = statements()
    for _ in range(4):
        order = paid(caller)
        send(order, "a", SKU01=1)
        send(order, "b", SKU01=1)

    assert statements() == few


@pytest.mark.django_db(transaction=True)
def test_paid_order_is_cancelled_once_and_its_money_sent_back(
    caller: Caller, till: Till, shelf: list[Product]
) -> None:
    order = Order.objects.get(reference=caller.place(None, TWO_LINES).json["reference"])
    till.settle_everything_twice()
    assert read(caller, order)["can_cancel"] is True

    asked = cancel(caller, order)
    again = cancel(caller, order)
    another = cancel(caller, order, "c-2")

    assert (asked.status, asked.json["status"], asked.json["charged"]) == (202, "paid", True)
    assert (asked.json["dispatch_status"], asked.json["is_final"]) == ("called_off", False)
    assert asked.json["can_cancel"] is False
    assert again.headers["Idempotent-Replayed"] == "true"
    assert again.body == asked.body
    assert another.status == 202
    assert order.mails.filter(kind=Mail.Kind.CALLED_OFF).count() == 1
    shelf[0].refresh_from_db()
    assert shelf[0].stock == 100_000

    till.deliver_messages()
    told = read(caller, order)
    assert (told["status"], told["refunded"], told["is_final"]) == ("refunded", "30.04", True)
    assert cancel(caller, order).body == asked.body


@pytest.mark.parametrize("why", ["sent", "held", "refunded", "the shop does not allow it"])
def test_paid_order_that_may_not_be_cancelled_stays_as_it_is(
    caller: Caller, settings: Settings, why: str
) -> None:
    order = paid(caller)
    match why:
        case "sent":
            send(order, SKU01=1)
        case "held":
            Order.objects.update(is_held=True)
        case "refunded":
            transition(order.pk, OrderStatus.REFUNDED, reason="Test", now=timezone.now())
        case _:
            settings.CUSTOMERS_CANCEL_PAID = False
    before = read(caller, order)

    refused = cancel(caller, order)

    assert (refused.status, refused.problem) == (409, "not-cancellable")
    assert refused.json["charged"] is True
    assert before["can_cancel"] is False
    assert read(caller, order) == before
    assert not OutboxMessage.objects.filter(kind="cancel_order").exists()
