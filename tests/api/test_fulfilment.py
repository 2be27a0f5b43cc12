"""A warehouse over the API: it sees what is to be sent to whom, and sends each parcel once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from django.contrib.auth.models import Permission, User
from django.db import connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.models import ApiRequest, Scope
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.models import Mail, Order, OrderLine, Shipment, ShipmentLine
from checkout.orders.placing.place import place_order
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.api_caller import ORDERS, Answer, Caller, new_caller
from tests.support.factories import OpenBasket, line, placed_order, purchase

TO_SEND = "/api/v1/to-send/"


@pytest.fixture
def warehouse(shelf: list[Product]) -> Caller:
    return new_caller(scopes=[Scope.FULFIL])


def paid(*products: Product, quantity: int = 2) -> Order:
    basket = OpenBasket([line(product, quantity) for product in products])
    order = place_order(purchase(), basket, now=timezone.now())
    assert transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    return order


def send(
    caller: Caller, order: Order | str, content: object = None, key: str | None = None
) -> Answer:
    reference = order if isinstance(order, str) else order.reference
    return caller.post(f"{ORDERS}{reference}/shipments/", content or {}, key)


def waiting(caller: Caller) -> list[str]:
    answer = caller.get(TO_SEND)
    assert answer.status == 200, answer.body
    return [order["reference"] for order in answer.json["results"]]


def test_order_that_is_to_be_sent_is_told_with_what_its_carrier_needs(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0], shelf[1])
    Order.objects.update(
        delivery_method="7", delivery_name="Parcel", company="Quill Ltd", phone="+353 21 555 0100"
    )
    first, second = order.lines.all()
    ship(order, {first.pk: 2, second.pk: 1}, key="k", by="clerk", now=timezone.now())

    [told] = warehouse.get(TO_SEND).json["results"]

    assert told == {
        "number": order.number,
        "reference": order.reference,
        "placed_at": told["placed_at"],
        "dispatch_status": "partly_sent",
        "delivery": {"method": "7", "name": "Parcel"},
        "full_name": "Ada Quillfeather",
        "company": "Quill Ltd",
        "address": "12 Inkwell Lane",
        "address2": "",
        "city": "Cork",
        "region": "",
        "postcode": "T12 ABC1",
        "country": "IE",
        "phone": "+353 21 555 0100",
        "lines": [
            {"id": second.pk, "sku": "SKU-02", "name": "Notebook 02", "quantity": 2, "to_send": 1}
        ],
    }


def test_only_what_is_paid_and_not_held_and_not_sent_is_to_be_sent(
    warehouse: Caller, caller: Caller, shelf: list[Product]
) -> None:
    placed_order(shelf[0])
    held, sent, ours = paid(shelf[0]), paid(shelf[0]), paid(shelf[0])
    Order.objects.filter(pk=held.pk).update(is_held=True)
    assert send(warehouse, sent).status == 201
    theirs = caller.place().json["reference"]
    of_a_client = Order.objects.get(reference=theirs)
    transition(of_a_client.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    assert waiting(warehouse) == [ours.reference, theirs]


def test_what_is_to_be_sent_is_listed_in_pages_oldest_first(
    warehouse: Caller, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout.api.pagination.IdPagination.page_size", 2)
    orders = [paid(shelf[0]) for _ in range(5)]
    seen: list[str] = []
    address = TO_SEND
    while address:
        page = warehouse.get(address).json
        seen += [order["reference"] for order in page["results"]]
        if len(seen) == 2:
            send(warehouse, orders[0])  # what leaves the list shifts no page
        address = (page["next"] or "").removeprefix("http://testserver")

    assert seen == [order.reference for order in orders]


def test_list_runs_the_same_statements_for_any_number(
    warehouse: Caller, shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as ran:
            waiting(warehouse)
        return len(ran)

    paid(shelf[0])
    few = statements()
    for _ in range(5):
        paid(shelf[0], shelf[1], shelf[2])

    assert statements() == few


def test_list_is_read_by_the_index_of_what_is_to_be_sent(shelf: list[Product]) -> None:
    # What Postgres finds cheapest for a handful of rows says nothing of many.
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = orders_to_send()[:51].explain()

    assert "orders_order_sendable_idx" in plan
    assert "Sort" not in plan


def test_parcel_is_sent_with_what_is_named(warehouse: Caller, shelf: list[Product]) -> None:
    order = paid(shelf[0], shelf[1])
    first, _ = order.lines.all()
    content = {
        "lines": [{"id": first.pk, "quantity": 1}],
        "tracking_number": "RR123456785IE",
        "method": "By bicycle",
    }

    answer = send(warehouse, order, content)

    shipment = Shipment.objects.get()
    assert answer.status == 201
    assert answer.json == {
        "number": order.number,
        "reference": order.reference,
        "id": shipment.pk,
        "method": "By bicycle",
        "tracking_number": "RR123456785IE",
        "tracking_link": "",
        "sent_at": answer.json["sent_at"],
        "lines": [{"id": first.pk, "sku": "SKU-01", "quantity": 1}],
    }
    assert shipment.sent_by.startswith("api:caller-")
    assert order.mails.filter(kind=Mail.Kind.SHIPPED).count() == 1
    assert OrderLine.objects.get(pk=first.pk).shipped == 1


def test_parcel_without_lines_holds_all_that_is_left(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0], shelf[1])
    first, second = order.lines.all()
    send(warehouse, order, {"lines": [{"id": first.pk, "quantity": 1}]})

    rest = send(warehouse, order)

    assert [(each["id"], each["quantity"]) for each in rest.json["lines"]] == [
        (first.pk, 1),
        (second.pk, 2),
    ]
    assert waiting(warehouse) == []


def test_same_key_is_one_parcel_and_the_same_answer_whatever_came_since(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0])
    content = {"tracking_number": "RR1"}
    first = send(warehouse, order, content, "k-1")
    shipment = Shipment.objects.get()
    undo_shipment(shipment, by="clerk", why="The wrong one", now=timezone.now())
    transition(order.pk, OrderStatus.REFUNDED, reason="Test", now=timezone.now())

    again = send(warehouse, order, content, "k-1")

    assert (again.status, again.body) == (first.status, first.body) == (201, first.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert Shipment.objects.count() == 1


@pytest.mark.parametrize("changed", ["number", "order", "operation"])
def test_same_key_with_another_request_is_refused_and_sends_nothing(
    shelf: list[Product], changed: str
) -> None:
    both = new_caller(scopes=Scope.values)
    order, other = paid(shelf[0]), paid(shelf[0])
    send(both, order, {"tracking_number": "RR1"}, "k-1")

    match changed:
        case "number":
            refused = send(both, order, {"tracking_number": "RR2"}, "k-1")
        case "order":
            refused = send(both, other, {"tracking_number": "RR1"}, "k-1")
        case _:
            refused = both.place("k-1")
            assert refused.json["charged"] is False
            placed = both.place("k-2").json["reference"]
            assert send(both, placed, {}, "k-2").problem == "idempotency-key-reused"

    assert (refused.status, refused.problem) == (422, "idempotency-key-reused")
    assert Shipment.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_requests_with_one_key_at_once_send_one_parcel(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0])

    answers = at_once(lambda n: send(warehouse, order, {"tracking_number": "RR1"}, "k-1"))

    assert {(answer.status, answer.body) for answer in answers} == {(201, answers[0].body)}
    assert sum("Idempotent-Replayed" in answer.headers for answer in answers) == 7
    assert Shipment.objects.count() == 1
    assert order.mails.filter(kind=Mail.Kind.SHIPPED).count() == 1


@pytest.mark.django_db(transaction=True)
def test_eight_requests_with_a_key_each_send_no_piece_twice(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0])
    [ordered] = order.lines.all()
    one = {"lines": [{"id": ordered.pk, "quantity": 1}]}

    answers = at_once(lambda n: send(warehouse, order, one, f"k-{n}"))

    statuses = sorted(answer.status for answer in answers)
    assert statuses == [201, 201, *[409] * 6]
    assert {a.problem for a in answers if a.status == 409} <= {"already-sent", "too-many-pieces"}
    assert sum(ShipmentLine.objects.values_list("quantity", flat=True)) == 2
    assert ApiRequest.objects.count() == 2


def at_once(act: Callable[[int], Answer], times: int = 8) -> list[Answer]:
    together = Barrier(times)

    def one(number: int) -> Answer:
        together.wait(20)
        try:
            return act(number)
        finally:
            connection.close()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(one, range(times)))


def test_what_may_not_be_sent_is_refused_in_words_of_its_own(
    warehouse: Caller, shelf: list[Product]
) -> None:
    unpaid, held, refunded, sent = placed_order(shelf[0]), *(paid(shelf[0]) for _ in range(3))
    cancelled = placed_order(shelf[0])
    Order.objects.filter(pk=held.pk).update(is_held=True)
    for order, to in [
        (refunded, OrderStatus.REFUNDED),
        (cancelled, OrderStatus.PAYMENT_FAILED),
        (cancelled, OrderStatus.CANCELLED),
    ]:
        assert transition(order.pk, to, reason="Test", now=timezone.now())
    send(warehouse, sent)
    parcels = Shipment.objects.count()

    answers = {
        order.pk: send(warehouse, order, {}, "k-1")
        for order in (unpaid, held, refunded, cancelled, sent)
    }

    assert [(answer.status, answer.problem) for answer in answers.values()] == [
        (409, "not-paid"),
        (409, "order-held"),
        (409, "order-taken-back"),
        (409, "order-taken-back"),
        (409, "already-sent"),
    ]
    assert all("charged" not in answer.json for answer in answers.values())
    assert Shipment.objects.count() == parcels
    assert not ApiRequest.objects.filter(key="k-1").exists()  # so that it is free


def test_more_than_is_left_is_refused_and_told_what_is(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0], shelf[1])
    first, second = order.lines.all()
    send(warehouse, order, {"lines": [{"id": first.pk, "quantity": 1}]})

    both = [{"id": first.pk, "quantity": 2}, {"id": second.pk, "quantity": 1}]
    refused = send(warehouse, order, {"lines": both})

    assert (refused.status, refused.problem) == (409, "too-many-pieces")
    left = [{"id": first.pk, "to_send": 1}, {"id": second.pk, "to_send": 2}]
    assert refused.json["lines"] == left
    assert Shipment.objects.count() == 1


@pytest.mark.parametrize(
    ("content", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [{"id": 1, "quantity": 0}]}, "/lines/0/quantity"),
        ({"lines": [{"id": 1, "quantity": -1}]}, "/lines/0/quantity"),
        ({"lines": [{"id": 1, "quantity": 1.0}]}, "/lines/0/quantity"),
        ({"lines": [{"id": 1, "quantity": True}]}, "/lines/0/quantity"),
        ({"lines": [{"id": "1", "quantity": 1}]}, "/lines/0/id"),
        ({"lines": [{"id": 2**70, "quantity": 1}]}, "/lines/0/id"),
        ({"lines": [{"id": 1, "quantity": 1}, {"id": 1, "quantity": 1}]}, "/lines/1/id"),
        ({"lines": [{"id": 0, "quantity": 1}]}, "/lines/0/id"),
        ({"lines": [{"quantity": 1}]}, "/lines/0/id"),
        ({"lines": None}, "/lines"),
        ({"tracking_number": "R" * 81}, "/tracking_number"),
        ({"tracking_number": "R\0"}, "/tracking_number"),
        ({"tracking_number": 7}, "/tracking_number"),
        ({"method": "m" * 81}, "/method"),
        ({"trackingnumber": "RR1"}, "/trackingnumber"),
    ],
)
def test_parcel_that_makes_no_sense_is_refused_by_the_field(
    warehouse: Caller, shelf: list[Product], content: object, pointer: str
) -> None:
    refused = send(warehouse, paid(shelf[0]), content)

    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json["errors"]] == [pointer]
    assert not Shipment.objects.exists()


def test_line_of_another_order_is_refused_by_its_place(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order, other = paid(shelf[0]), paid(shelf[0])
    [ours], [theirs] = order.lines.all(), other.lines.all()
    lines = [{"id": ours.pk, "quantity": 1}, {"id": theirs.pk, "quantity": 1}]

    refused = send(warehouse, order, {"lines": lines})

    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json["errors"]] == ["/lines/1/id"]
    assert not Shipment.objects.exists()


def test_key_is_needed_and_an_unknown_order_is_not_found(
    warehouse: Caller, shelf: list[Product]
) -> None:
    order = paid(shelf[0])
    address = f"{ORDERS}{order.reference}/shipments/"

    without = warehouse.send("POST", address, b"{}", Content_Type="application/json")

    assert (without.status, without.problem) == (400, "idempotency-key-missing")
    assert send(warehouse, "x" * 22).status == 404
    assert warehouse.get(address).status == 405
    assert warehouse.post(TO_SEND, {}).status == 405


@pytest.fixture
def clerk(shelf: list[Product]) -> User:
    return User.objects.create_user("clerk", "clerk@shop.example", "quill", is_staff=True)


def test_person_sees_other_peoples_addresses_with_a_permission_alone(
    clerk: User, shelf: list[Product]
) -> None:
    order = paid(shelf[0])
    browser = Client()
    browser.force_login(clerk)
    address = f"{ORDERS}{order.reference}/shipments/"
    headers = {"Idempotency-Key": "k-1"}

    assert browser.get(TO_SEND).status_code == 403
    refused = browser.post(address, {}, "application/json", headers=headers)
    assert refused.status_code == 403
    assert not Shipment.objects.exists()

    clerk.user_permissions.add(Permission.objects.get(codename="ship_order"))
    listed = browser.get(TO_SEND).json()["results"]
    sent = browser.post(address, {}, "application/json", headers=headers)

    assert [each["reference"] for each in listed] == [order.reference]
    assert sent.status_code == 201
    assert Shipment.objects.get().sent_by == "clerk"
    assert browser.get(f"{ORDERS}{order.reference}/").status_code == 404  # it is not their own
