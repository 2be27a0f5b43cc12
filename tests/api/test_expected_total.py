"""A program is charged the total that it showed, or it is told the total as it is now."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client
from pytest_django.fixtures import Settings

from checkout.api.authentication import create_client
from checkout.api.idempotency import claim_key
from checkout.api.purchases.basket import ApiBasket
from checkout.catalogue.models import DeliveryPrice, DiscountCode, Product, TaxRate
from checkout.models import ApiClient, ApiRequest, Scope
from checkout.orders.models import Order, OutboxMessage
from tests.api.shop_rules import set_rules
from tests.support.api_caller import ORDERS, PURCHASE, Caller

WITHOUT_TOTAL = {name: value for name, value in PURCHASE.items() if name != "expected_total"}


@pytest.fixture
def trusting(shelf: list[Product]) -> Caller:
    token = create_client("kiosk", Scope.values, expires_in=None, accepts_any_total=True).token
    return Caller(token)


def raise_price(to: int = 5000, sku: str = "SKU-01") -> None:
    Product.objects.filter(sku=sku).update(price_minor=to)


def test_total_that_has_changed_is_told_and_nothing_is_stored(caller: Caller) -> None:
    raise_price()

    refused = caller.place("k-1")

    assert (refused.status, refused.problem) == (409, "total-changed")
    assert refused.json["charged"] is False
    assert (refused.json["total"], refused.json["currency"]) == ("100.00", "EUR")
    assert not Order.objects.exists()
    assert not OutboxMessage.objects.exists()
    assert not ApiRequest.objects.exists()
    assert Product.objects.get(sku="SKU-01").stock == 100_000
    assert caller.place("k-1", PURCHASE | {"expected_total": "100.00"}).status == 201
    assert Order.objects.get().total_minor == 10_000


@pytest.mark.parametrize("to", [0, 1000, 1002])
def test_any_difference_counts_also_a_lower_price(caller: Caller, to: int) -> None:
    raise_price(to)

    assert caller.place().problem == "total-changed"


def test_lines_that_make_another_total_are_refused(caller: Caller) -> None:
    lines = [{"sku": "SKU-01", "quantity": 2}, {"sku": "SKU-02", "quantity": 1}]

    refused = caller.place(None, PURCHASE | {"lines": lines})

    assert (refused.problem, refused.json["total"]) == ("total-changed", "30.04")


def test_total_is_required(caller: Caller) -> None:
    refused = caller.place(None, WITHOUT_TOTAL)

    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json["errors"]] == ["/expected_total"]
    assert not Order.objects.exists()


def test_client_that_accepts_any_total_need_not_send_it(trusting: Caller, caller: Caller) -> None:
    raise_price()

    placed = trusting.place(None, WITHOUT_TOTAL)

    assert (placed.status, placed.json["total"]) == (201, "100.00")
    # What it sends all the same is believed.
    assert trusting.place(None, PURCHASE).problem == "total-changed"


def test_person_with_a_session_is_asked_for_it_too(shelf: list[Product]) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("ada"))

    answer = browser.post(
        ORDERS, WITHOUT_TOTAL, "application/json", headers={"Idempotency-Key": "k-1"}
    )

    assert answer.status_code == 422
    assert [error["pointer"] for error in answer.json()["errors"]] == ["/expected_total"]


@pytest.mark.parametrize(
    "total",
    [
        *(20.02, 2002, None, True, [], {}, "", " ", "20.020", "20.2", "20", "2002", "20,02"),
        *("020.02", "+20.02", "-20.02", " 20.02", "20.02 ", "2_0.02", "1e1", "NaN", "20.02\n"),
        *("２０.０２", "€20.02", "20.02 EUR", "9" * 40 + ".00", "1,020.02"),
    ],
)
def test_total_in_another_form_is_named(caller: Caller, total: Any) -> None:
    refused = caller.place(None, PURCHASE | {"expected_total": total})

    assert (refused.status, refused.problem) == (422, "invalid-request")
    assert [error["pointer"] for error in refused.json["errors"]] == ["/expected_total"]


@pytest.mark.parametrize(("currency", "total"), [("JPY", "2020"), ("BHD", "2.020")])
def test_total_is_written_as_the_products_prices_are(
    caller: Caller, settings: Settings, currency: str, total: str
) -> None:
    settings.SHOP_CURRENCY = currency
    Product.objects.update(price_minor=1010)
    price = caller.get("/api/v1/products/").json["results"][0]["price"]

    told = caller.place(None, PURCHASE | {"expected_total": price}).json["total"]
    placed = caller.place(None, PURCHASE | {"expected_total": told})

    assert (placed.status, placed.json["total"], told) == (201, total, total)


def test_same_number_of_another_currency_is_not_the_total(
    caller: Caller, settings: Settings
) -> None:
    shown = PURCHASE | {"expected_currency": "EUR"}
    assert caller.place(None, shown).status == 201
    settings.SHOP_CURRENCY = "USD"

    refused = caller.place(None, shown)

    assert refused.problem == "total-changed"
    assert (refused.json["total"], refused.json["currency"]) == ("20.02", "USD")


def test_same_key_with_another_total_is_another_request(caller: Caller) -> None:
    caller.place("k-1")

    other = caller.place("k-1", PURCHASE | {"expected_total": "20.03"})

    assert other.problem == "idempotency-key-reused"


def test_repetition_is_answered_with_its_order_whatever_the_price_is_now(caller: Caller) -> None:
    first = caller.place("k-1")
    raise_price()

    again = caller.place("k-1")

    assert (again.status, again.json) == (201, first.json)


@contextmanager
def _price_rises_while(monkeypatch: pytest.MonkeyPatch, step: Callable[..., Any]) -> Iterator[None]:
    """Committed by another connection after the key is claimed and before the products are read."""

    def elsewhere() -> None:
        try:
            raise_price()
        finally:
            connection.close()

    def claimed(*arguments: Any, **words: Any) -> None:
        step(*arguments, **words)
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()

    monkeypatch.setattr("checkout.api.purchases.place.claim_key", claimed)
    yield


@pytest.mark.django_db(transaction=True)
def test_price_that_rises_in_the_same_moment_is_noticed(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _price_rises_while(monkeypatch, claim_key):
        refused = caller.place("k-1")

    assert (refused.problem, refused.json["total"]) == ("total-changed", "100.00")
    assert not Order.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_stored_total_is_the_expected_one_however_prices_move(caller: Caller) -> None:
    stop = threading.Event()

    def move_prices() -> None:
        try:
            while not stop.is_set():
                for price in (1001, 5000):
                    raise_price(price)
        finally:
            connection.close()

    mover = threading.Thread(target=move_prices)
    mover.start()
    try:
        answers = [caller.place() for _ in range(40)]
    finally:
        stop.set()
        mover.join()

    assert {answer.status for answer in answers} <= {201, 409}
    assert set(Order.objects.values_list("total_minor", flat=True)) <= {2002}
    charged = [
        sum(line.quantity * line.unit_price_minor for line in order.lines.all())
        for order in Order.objects.all()
    ]
    assert set(charged) <= {2002}


def test_basket_compares_the_total_of_what_it_gives(shelf: list[Product]) -> None:
    basket = partial(ApiBasket, {"SKU-01": 2}, lambda: None)

    with transaction.atomic():
        total_minor = sum(each.line.total_minor for each in basket(2002, "EUR").take())

    assert total_minor == 2002
    assert basket(2002, "EUR").is_as_shown(total_minor)
    assert basket(None, "EUR").is_as_shown(total_minor)
    assert not basket(2001, "EUR").is_as_shown(total_minor)
    assert not basket(2002, "USD").is_as_shown(total_minor)


def _dearer() -> None:
    raise_price(1101)


def _taxed_more() -> None:
    TaxRate.objects.filter(country="IE").update(percent=25)


def _sent_for_more() -> None:
    DeliveryPrice.objects.filter(country="IE", below=5000).update(price_minor=590)


def _worth_less() -> None:
    DiscountCode.objects.update(percent=5)


@pytest.mark.parametrize(
    ("change", "goods", "discount", "delivery", "added_tax", "total"),
    [
        (_dearer, "22.02", "2.20", "4.90", "5.69", "30.41"),
        (_taxed_more, "20.02", "2.00", "4.90", "5.73", "28.65"),
        (_sent_for_more, "20.02", "2.00", "5.90", "5.50", "29.42"),
        (_worth_less, "20.02", "1.00", "4.90", "5.50", "29.42"),
    ],
)
def test_change_of_any_part_is_told_with_the_parts(
    caller: Caller,
    settings: Settings,
    change: Callable[[], None],
    goods: str,
    discount: str,
    delivery: str,
    added_tax: str,
    total: str,
) -> None:
    settings.PRICES_INCLUDE_TAX = False
    set_rules()
    # 18.02 and 4.90 are 22.92, to which 23 % are added: 5.27.
    wanted = PURCHASE | {"code": "TENTH", "expected_total": "28.19"}
    change()

    refused = caller.place("k-1", wanted)

    assert (refused.status, refused.problem) == (409, "total-changed")
    told = refused.json
    assert (told["goods"], told["discount"], told["delivery"]) == (goods, discount, delivery)
    assert (told["added_tax"], told["total"], told["currency"]) == (added_tax, total, "EUR")
    assert not Order.objects.exists()
    assert not ApiRequest.objects.exists()
    assert DiscountCode.objects.get().used == 0
    assert caller.place("k-1", wanted | {"expected_total": told["total"]}).status == 201


def test_parts_that_differ_within_the_same_total_stop_nobody(caller: Caller) -> None:
    set_rules()
    DeliveryPrice.objects.filter(country="IE", below=5000).update(price_minor=290)
    raise_price(1101)

    # Before: 20.02 and 4.90. Now: 22.02 and 2.90.
    assert caller.place(None, PURCHASE | {"expected_total": "24.92"}).status == 201


def test_tax_that_prices_contain_changes_no_total(caller: Caller) -> None:
    set_rules()
    _taxed_more()

    assert caller.place(None, PURCHASE | {"expected_total": "24.92"}).status == 201


def test_command_says_whether_a_client_accepts_any_total(db: None) -> None:
    create_client("kiosk", Scope.values, expires_in=None, accepts_any_total=True)
    create_client("kiosk", Scope.values, expires_in=None)
    assert ApiClient.objects.get().accepts_any_total

    create_client("kiosk", Scope.values, expires_in=None, accepts_any_total=False)

    assert not ApiClient.objects.get().accepts_any_total
