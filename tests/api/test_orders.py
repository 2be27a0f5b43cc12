"""What a client sees of its orders, and what it can do about them."""

import threading
import time

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.api import prefer_wait
from checkout.catalogue.models import Product
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from tests.support.api_caller import DECLINED, ORDERS, PURCHASE, Answer, Caller
from tests.support.till import Till, assert_one_order_one_charge

PAYMENT = {"payment_method": "pm_card_visa"}

several_connections = pytest.mark.django_db(transaction=True)


def placed_address(caller: Caller, **change: object) -> str:
    answer = caller.place(None, PURCHASE | change)
    assert answer.status == 201, answer.body
    return answer.headers["Location"]


def become(status: OrderStatus, *steps: OrderStatus) -> None:
    order = Order.objects.get()
    for step in (*steps, status):
        assert transition(order.pk, step, reason="A test", now=timezone.now())


def test_products_are_listed_for_everybody(shelf: list[Product]) -> None:
    Product.objects.filter(sku="LAST").update(stock=0)
    Product.objects.filter(sku="SKU-02").update(is_on_sale=False)

    listed = Caller().get("/api/v1/products/").json["results"]

    assert len(listed) == 20
    assert listed[0] == {
        "sku": "SKU-01",
        "name": "Notebook 01",
        "description": "Paper.",
        "price": "10.01",
        "currency": "EUR",
        "is_available": True,
        "weight_grams": 0,
        "is_delivered": True,
        "tax_class": "standard",
    }
    assert listed[-1]["is_available"] is False


def test_client_is_told_where_a_transfer_goes_while_it_is_awaited(
    caller: Caller, settings: Settings
) -> None:
    settings.PAYMENT_OFFERS = []
    wanted = {"gateway": "bank_transfer", "payment_method": ""}
    address = placed_address(caller, **wanted)
    assert caller.get(address).json["send_money_to"] == []

    become(OrderStatus.ACTION_REQUIRED)

    order = caller.get(address).json
    assert {"name": "IBAN", "value": "DE89 3704 0044 0532 0130 00"} in order["send_money_to"]
    assert {"name": "Reference", "value": order["number"]} in order["send_money_to"]
    become(OrderStatus.PAID)
    assert caller.get(address).json["send_money_to"] == []


def test_order_is_read_as_it_is(caller: Caller) -> None:
    address = placed_address(caller)
    become(OrderStatus.PAID)

    told = caller.get(address).json

    order = Order.objects.get()
    assert told == {
        "number": order.number,
        "reference": order.reference,
        "status": "paid",
        "charged": True,
        "is_final": True,
        "can_pay": False,
        "can_cancel": True,
        "action_url": None,
        "send_money_to": [],
        "dispatch_status": "unsent",
        "total": "20.02",
        "refunded": "0.00",
        "currency": "EUR",
        "goods": "20.02",
        "discount": "0.00",
        "delivery": None,
        "code": "",
        "tax": [],
        "prices_include_tax": True,
        "lines": [
            {
                "id": order.lines.get().pk,
                "sku": "SKU-01",
                "name": "Notebook 01",
                "quantity": 2,
                "total": "20.02",
                "discount": "0.00",
                "tax_percent": "0",
                "tax": "0.00",
            }
        ],
        "shipments": [],
        "placed_at": told["placed_at"],
    }


def test_orders_are_listed_in_pages_newest_first(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checkout.api.pagination.IdPagination.page_size", 2)
    references = [caller.place().json["reference"] for _ in range(5)]
    listed: list[str] = []
    address = ORDERS
    while address:
        page = caller.get(address).json
        listed += [order["reference"] for order in page["results"]]
        if len(listed) == 2:
            caller.place()  # shifts no page
        address = (page["next"] or "").removeprefix("http://testserver")

    assert listed == references[::-1]


def test_etag_saves_what_is_known(caller: Caller) -> None:
    address = placed_address(caller)
    first = caller.get(address)
    etag = first.headers["ETag"]
    assert etag.startswith('"')  # a strong one

    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        again = caller.get(address, If_None_Match=known)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", etag)

    become(OrderStatus.PAYMENT_FAILED)
    changed = caller.get(address, If_None_Match=etag)
    assert (changed.status, changed.json["status"]) == (200, "payment_failed")
    assert changed.headers["ETag"] != etag


@several_connections
def test_declined_order_is_paid_with_another_card_once(caller: Caller, till: Till) -> None:
    address = placed_address(caller, **DECLINED)
    till.deliver_messages()
    assert caller.get(address).json["can_pay"] is True

    paid = caller.post(f"{address}pay/", PAYMENT, "pay-1")
    till.deliver_messages()
    again = caller.post(f"{address}pay/", PAYMENT, "pay-1")

    assert (paid.status, paid.json["status"], paid.json["charged"]) == (202, "placed", "unknown")
    assert (again.status, again.body) == (202, paid.body)
    assert again.headers["Idempotent-Replayed"] == "true"
    order = assert_one_order_one_charge(till)
    assert order.payment_round == 2


@pytest.mark.parametrize(
    ("steps", "charged"), [([], "unknown"), (["paid"], True), (["cancelled"], False)]
)
def test_order_that_waits_for_no_payment_is_not_paid_again(
    caller: Caller, steps: list[str], charged: object
) -> None:
    address = placed_address(caller)
    for step in steps:
        become(OrderStatus(step))

    refused = caller.post(f"{address}pay/", PAYMENT, "pay-1")

    assert (refused.status, refused.problem) == (409, "not-payable")
    assert refused.json["charged"] == charged
    assert refused.json["order_status"] == (steps or ["placed"])[-1]
    assert Order.objects.get().payment_round == 1


@several_connections
def test_two_keys_pay_a_declined_order_once(caller: Caller, till: Till) -> None:
    """As two presses do, each with a key of its own."""
    address = placed_address(caller, **DECLINED)
    till.deliver_messages()

    answers = [caller.post(f"{address}pay/", PAYMENT, key) for key in ("pay-1", "pay-2")]

    assert [answer.status for answer in answers] == [202, 409]
    assert Order.objects.get().payment_round == 2


def test_card_number_is_taken_nowhere(caller: Caller) -> None:
    address = placed_address(caller)
    become(OrderStatus.PAYMENT_FAILED)

    refused = caller.post(f"{address}pay/", {"payment_method": "4242424242424242"})

    assert refused.status == 422
    assert [error["pointer"] for error in refused.json["errors"]] == ["/payment_method"]
    assert caller.post(f"{address}pay/", PAYMENT | {"amount": "1"}).status == 422


@several_connections
def test_declined_order_is_cancelled_by_the_worker(
    caller: Caller, till: Till, shelf: list[Product]
) -> None:
    address = placed_address(caller, **DECLINED)
    till.deliver_messages()

    asked = caller.post(f"{address}cancel/", {}, "cancel-1")

    assert (asked.status, asked.json["status"], asked.json["charged"]) == (
        202,
        "payment_failed",
        False,
    )
    till.deliver_messages()
    assert caller.get(address).json["status"] == "cancelled"
    again = caller.post(f"{address}cancel/", b"", "cancel-1", Content_Type="text/plain")
    assert (again.status, again.body) == (202, asked.body)
    assert caller.post(f"{address}cancel/", {}, "cancel-2").status == 200
    shelf[0].refresh_from_db()
    assert shelf[0].stock == 100_000
    reasons = set(Order.objects.get().events.values_list("reason", flat=True))
    assert "Its customer asked to have it cancelled" in reasons


@pytest.mark.parametrize(("steps", "charged"), [([], "unknown"), (["paid"], True)])
def test_order_that_is_being_paid_is_not_cancelled(
    caller: Caller, settings: Settings, steps: list[str], charged: object
) -> None:
    """Nor is a paid one, where the shop does not let its customers do that."""
    settings.CUSTOMERS_CANCEL_PAID = False
    address = placed_address(caller)
    for step in steps:
        become(OrderStatus(step))

    refused = caller.post(f"{address}cancel/", {}, "cancel-1")

    assert (refused.status, refused.problem) == (409, "not-cancellable")
    assert refused.json["charged"] == charged
    assert not OutboxMessage.objects.filter(kind="cancel_order").exists()


def test_sold_out_product_is_told_with_what_is_left(caller: Caller) -> None:
    lines = [{"sku": "SKU-01", "quantity": 1}, {"sku": "LAST", "quantity": 2}]

    refused = caller.place(None, PURCHASE | {"lines": lines, "expected_total": "268.01"})

    assert (refused.status, refused.problem) == (409, "out-of-stock")
    assert refused.json["products"] == [{"sku": "LAST", "left": 1}]
    assert Product.objects.get(sku="SKU-01").stock == 100_000


def test_every_type_of_problem_has_a_page(caller: Caller) -> None:
    kind = caller.place(None, {}).json["type"]

    page = Caller().get(kind)

    assert (page.status, page.json["type"]) == (200, kind)


# --- Prefer: wait -------------------------------------------------------------------------------


def become_in_a_pause(monkeypatch: pytest.MonkeyPatch, status: OrderStatus) -> list[float]:
    """The order becomes so before the third look of a read that waits. Its pauses, as they come."""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            become(status)

    monkeypatch.setattr("checkout.api.prefer_wait.time.sleep", pause)
    return pauses


def wait(caller: Caller, address: str, seconds: object, **headers: str) -> tuple[Answer, float]:
    began = time.monotonic()
    answer = caller.get(address, Prefer=f"wait={seconds}", **headers)
    return answer, time.monotonic() - began


@several_connections
def test_waiting_read_is_answered_when_the_order_is_decided(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = placed_address(caller)
    pauses = become_in_a_pause(monkeypatch, OrderStatus.PAID)

    answer, _ = wait(caller, address, 20)

    assert answer.json["status"] == "paid"
    assert answer.headers["Preference-Applied"] == "wait=20"
    assert len(pauses) == 2


@several_connections
def test_waiting_read_is_answered_when_its_time_is_over(caller: Caller) -> None:
    answer, took = wait(caller, placed_address(caller), 1)

    assert (answer.status, answer.json["status"]) == (200, "placed")
    assert took >= 1


@several_connections
def test_waiting_read_with_an_etag_waits_for_another_state(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = placed_address(caller)
    become(OrderStatus.ACTION_REQUIRED)
    etag = caller.get(address).headers["ETag"]

    unchanged, _ = wait(caller, address, 1, If_None_Match=etag)
    pauses = become_in_a_pause(monkeypatch, OrderStatus.PAID)
    told, _ = wait(caller, address, 20)  # worth telling, for whoever did not know
    assert (told.json["status"], pauses) == ("action_required", [])
    changed, _ = wait(caller, address, 20, If_None_Match=etag)

    assert (unchanged.status, changed.status) == (304, 200)
    assert changed.json["status"] == "paid"
    assert len(pauses) == 2


@several_connections
def test_waiting_read_holds_no_connection_between_two_looks(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[object] = []
    monkeypatch.setattr(
        "checkout.api.prefer_wait.time.sleep", lambda _: held.append(connection.connection)
    )
    address = placed_address(caller)

    wait(caller, address, 1)

    assert len(held) > 1
    assert set(held) == {None}


def test_too_many_waiting_reads_are_answered_at_once(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefer_wait, "places", threading.BoundedSemaphore(1))
    address = placed_address(caller)
    prefer_wait.places.acquire()

    answer, _ = wait(caller, address, 20)

    assert answer.json["status"] == "placed"
    assert "Preference-Applied" not in answer.headers


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("wait=5", 5),
        ("respond-async, wait=5", 5),
        ('wait="5"; x=1', 5),
        ("wait=500", 20),
        ("wait=-1", 0),
        ("wait=soon", 0),
        ("await=5", 0),
        ("wait=5x", 0),
        ("", 0),
    ],
)
def test_preference_is_read_as_it_is_written(header: str, seconds: int) -> None:
    assert prefer_wait.preferred_wait(header) == seconds
