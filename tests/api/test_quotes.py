"""What a program is told of a purchase's total beforehand is what ordering it then charges."""

import json
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import (
    DeliveryMethod,
    DiscountCode,
    Product,
)
from checkout.models import ApiRequest, Scope
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import LimitCount, Order
from tests.api.shop_rules import set_methods, set_rates, set_rules
from tests.support.api_caller import PURCHASE, Answer, Caller, new_caller
from tests.support.long import at_length
from tests.support.rules import delivery_method, discount_code, tax_rate
from tests.support.shopper import InProcess, Shopper, read_form

QUOTES = "/api/v1/quotes/"

WANTED: dict[str, Any] = {"lines": [{"sku": "SKU-01", "quantity": 2}], "country": "IE"}


def ask(caller: Caller, **change: object) -> Answer:
    """Without an Idempotency-Key."""
    return caller.send(
        "POST", QUOTES, json.dumps(WANTED | change).encode(), Content_Type="application/json"
    )


def quoted(caller: Caller, **change: object) -> Any:
    answer = ask(caller, **change)
    assert answer.status == 200, answer.body
    return answer.json


def place(caller: Caller, total: str, **change: object) -> Answer:
    return caller.place(None, PURCHASE | {"expected_total": total} | change)


def pointers(refused: Answer) -> dict[str, str]:
    """Sentences by the field that they are about."""
    assert (refused.status, refused.problem) == (422, "invalid-request"), refused.body
    return {error["pointer"]: error["detail"] for error in refused.json["errors"]}


def rows() -> dict[str, int]:
    """How many rows each table has, but for the limit that counts every request to the API."""
    return {
        model._meta.label: model._default_manager.count()
        for model in apps.get_models()
        if model._meta.managed and model is not LimitCount
    }


def test_quote_tells_each_method_with_its_total(caller: Caller) -> None:
    courier, post = set_rules()

    told = quoted(caller, code="tenth", email="ada@example.com", postcode="T12 ABC1")

    # 20.02 less 2.00 is 18.02. With 12.00 it is 30.02, of which 23/123 are tax: 5.61.
    assert told == {
        "currency": "EUR",
        "goods": "20.02",
        "discount": "2.00",
        "code": "TENTH",
        "prices_include_tax": True,
        "methods": [
            {
                "id": str(courier.pk),
                "name": "Courier",
                "duration": "Tomorrow",
                "price": "12.00",
                "total": "30.02",
                "tax": [{"percent": "23", "net": "24.41", "tax": "5.61"}],
                "needs_phone": True,
            },
            {
                "id": str(post.pk),
                "name": "Post",
                "duration": "3 to 5 days",
                "price": "4.90",
                "total": "22.92",
                "tax": [{"percent": "23", "net": "18.63", "tax": "4.29"}],
                "needs_phone": False,
            },
        ],
    }


def test_tax_that_is_added_is_in_the_total(caller: Caller, settings: Settings) -> None:
    settings.PRICES_INCLUDE_TAX = False
    set_rates()
    Product.objects.filter(sku="SKU-02").update(tax_class="reduced")
    lines = [{"sku": "SKU-01", "quantity": 1}, {"sku": "SKU-02", "quantity": 1}]

    told = quoted(caller, lines=lines)

    # 23 % of 10.01 is 2.3023; 13.5 % of 10.02 is 1.3527.
    [method] = told["methods"]
    assert told["prices_include_tax"] is False
    assert method["tax"] == [
        {"percent": "23", "net": "10.01", "tax": "2.30"},
        {"percent": "13.5", "net": "10.02", "tax": "1.35"},
    ]
    assert method["total"] == "23.68"


def test_shop_without_methods_has_a_total_as_well(caller: Caller) -> None:
    assert quoted(caller)["methods"] == [
        {
            "id": "",
            "name": "",
            "duration": "",
            "price": "0.00",
            "total": "20.02",
            "tax": [],
            "needs_phone": False,
        }
    ]


def test_vouchers_alone_need_no_method_wherever_they_go(caller: Caller) -> None:
    set_methods()
    Product.objects.filter(sku="SKU-01").update(is_delivered=False)

    [method] = quoted(caller, country="NZ")["methods"]

    assert (method["id"], method["price"], method["total"]) == ("", "0.00", "20.02")
    placed = place(caller, method["total"], delivery_method=method["id"], country="NZ")
    assert placed.status == 201


CODES: dict[str, dict[str, Any]] = {
    "OFF": {"is_on": False},
    "SOON": {"starts_on": timezone.now().date() + timedelta(days=2)},
    "ENDED": {"ends_on": timezone.now().date() - timedelta(days=2)},
    "USED-UP": {"limit": 3, "used": 3},
    "HAD": {"per_customer": 0},
    "BIG": {"least_goods_minor": 2003},
}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("NO-SUCH", "no such code"),
        ("OFF", "no such code"),
        ("SOON", "does not hold yet"),
        ("ENDED", "has ended"),
        ("USED-UP", "as often as it may be"),
        ("HAD", "as often as one customer may"),
        ("BIG", "cost less than this code asks for"),
    ],
)
def test_code_is_refused_by_quote_and_order_in_one_sentence(
    caller: Caller, code: str, words: str
) -> None:
    for name, columns in CODES.items():
        discount_code(name, **columns)
    before = rows()

    told = pointers(ask(caller, code=code))

    assert told.keys() == {"/code"}
    assert words in told["/code"]
    refused = place(caller, "18.02", code=code)
    assert pointers(refused) == told
    assert refused.json["charged"] is False
    assert rows() == before


def test_customer_who_has_had_the_code_is_told_so(caller: Caller) -> None:
    discount_code("TENTH", per_customer=1)
    assert place(caller, "18.02", code="TENTH").status == 201

    told = pointers(ask(caller, code="TENTH", email=" ADA@Example.com "))

    assert told.keys() == {"/code"}
    assert quoted(caller, code="TENTH")["discount"] == "2.00"  # not told whose it is
    assert quoted(caller, code="TENTH", email="bob@example.com")["discount"] == "2.00"
    assert pointers(place(caller, "18.02", code="TENTH")) == told


def test_country_without_a_price_is_refused_by_quote_and_order(caller: Caller) -> None:
    set_methods()

    told = pointers(ask(caller, country="NZ"))

    assert told == {"/country": "We do not deliver these goods to this country: New Zealand."}
    assert pointers(place(caller, "20.02", country="NZ")) == told


def test_method_that_does_not_go_there_is_refused(caller: Caller) -> None:
    courier, _ = set_methods()

    for method in (str(courier.pk), "0", "post", "9" * 40):
        told = pointers(place(caller, "32.02", country="DE", delivery_method=method))
        assert told.keys() == {"/delivery_method"}
    assert not Order.objects.exists()
    assert not ApiRequest.objects.exists()


def test_carrier_who_needs_a_telephone_number_is_not_sent_without(caller: Caller) -> None:
    courier, _ = set_methods()

    told = pointers(place(caller, "32.02", delivery_method=str(courier.pk)))

    assert told == {"/phone": "The carrier asks for a telephone number for this way of delivery."}


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"lines": []}, "/lines"),
        ({"lines": [{"sku": "NO", "quantity": 1}]}, "/lines/0/sku"),
        (
            {"lines": [{"sku": "SKU-01", "quantity": 1}, {"sku": "NO", "quantity": 1}]},
            "/lines/1/sku",
        ),
        ({"lines": [{"sku": "SKU-01", "quantity": 1}] * 2}, "/lines/1/sku"),
        ({"lines": [{"sku": "SKU-01", "quantity": 0}]}, "/lines/0/quantity"),
        ({"country": "XX"}, "/country"),
        ({"country": "Ireland"}, "/country"),
        ({"country": ""}, "/country"),
        ({"country": None}, "/country"),
        ({"region": 1}, "/region"),
        ({"region": "x" * 121}, "/region"),
        ({"postcode": "x" * 21}, "/postcode"),
        ({"postcode": "4242 4242 4242 4242"}, "/postcode"),
        ({"code": "x" * 41}, "/code"),
        ({"code": 1}, "/code"),
        ({"code": "A\0"}, "/code"),
        ({"email": "ada"}, "/email"),
        ({"expected_total": "20.02"}, "/expected_total"),
        ({"delivery_method": "1"}, "/delivery_method"),
        ({"total": "0.01"}, "/total"),
    ],
)
def test_field_that_is_not_right_is_named(
    caller: Caller, change: dict[str, Any], pointer: str
) -> None:
    assert pointer in pointers(ask(caller, **change))


@pytest.mark.parametrize("missing", ["lines", "country"])
def test_field_that_is_missing_is_named(caller: Caller, missing: str) -> None:
    rest = {name: value for name, value in WANTED.items() if name != missing}

    assert pointers(caller.post(QUOTES, rest)).keys() == {f"/{missing}"}


def test_fields_may_be_empty_that_may_be_left_out(caller: Caller) -> None:
    set_rules()

    assert quoted(caller, region="", postcode="", code="", email="") == quoted(caller)


def test_body_is_read_as_strictly_as_that_of_an_order(caller: Caller) -> None:
    assert caller.post(QUOTES, b"{").problem == "malformed-request"
    assert caller.post(QUOTES, b"[]").problem == "invalid-request"
    assert caller.post(QUOTES, b" " * 65_537).problem == "too-large"
    assert caller.send("POST", QUOTES, b"{}", Content_Type="text/plain").status == 415
    assert caller.get(QUOTES).problem == "method-not-allowed"


def test_quote_needs_the_scope_that_orders(shelf: list[Product]) -> None:
    """Whoever may only read is not to try codes."""
    assert ask(new_caller(scopes=[Scope.READ])).problem == "not-permitted"
    assert ask(Caller()).problem == "not-authenticated"
    assert ask(new_caller(scopes=[Scope.WRITE])).status == 200


def test_person_with_a_session_may_ask(shelf: list[Product]) -> None:
    browser = Client()
    browser.force_login(User.objects.create_user("ada"))

    assert browser.post(QUOTES, WANTED, "application/json").status_code == 200


def test_refusal_says_nothing_of_a_charge(caller: Caller) -> None:
    assert "charged" not in ask(caller, country="XX").json


@pytest.mark.usefixtures("at_noon")
def test_quotes_are_counted_as_every_request_is(caller: Caller, settings: Settings) -> None:
    settings.LIMIT_API = read_rates("client 2/1m")

    answers = [ask(caller) for _ in range(3)]

    assert [answer.status for answer in answers] == [200, 200, 429]
    assert answers[-1].headers["Retry-After"]


def test_nothing_is_written(caller: Caller) -> None:
    set_rules()
    discount_code("ONE", limit=1)
    before = rows()

    for code in ("", "tenth", "ONE", "NO-SUCH"):
        ask(caller, code=code, email="ada@example.com")

    assert rows() == before
    assert DiscountCode.objects.get(code="ONE").used == 0
    assert Product.objects.get(sku="SKU-01").stock == 100_000


def test_statements_are_as_many_for_many_lines_and_methods(caller: Caller) -> None:
    set_rules()
    few = statements(lambda: quoted(caller, code="TENTH", email="ada@example.com"))
    for n in range(12):
        delivery_method(f"Method {n}", {"IE": n})
        tax_rate("IE", str(n), region=f"R{n}")
    lines = [{"sku": f"SKU-{n:02d}", "quantity": n} for n in range(1, 21)]

    def with_many() -> None:
        told = quoted(caller, lines=lines, code="TENTH", email="ada@example.com")
        assert len(told["methods"]) == 14

    many = statements(with_many)

    assert len(many) == len(few), many
    assert sum("catalogue_deliveryprice" in each for each in many) == 1


def statements(act: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        act()
    return [query["sql"] for query in captured.captured_queries]


@pytest.mark.parametrize("code", ["", "tenth", "FIVE", "freesend", "ALL"])
@pytest.mark.parametrize(
    ("country", "includes_tax"),
    [("IE", True), ("DE", False), *at_length(("IE", False), ("DE", True))],
)
def test_order_is_charged_what_its_quote_told(
    caller: Caller, settings: Settings, country: str, code: str, includes_tax: bool
) -> None:
    settings.PRICES_INCLUDE_TAX = includes_tax
    set_rules()
    DeliveryMethod.objects.update(needs_phone=False)
    discount_code("FIVE", kind="amount", amount_minor=500)
    discount_code("FREESEND", kind="free_delivery")
    discount_code("ALL", percent="100")
    Product.objects.filter(sku="SKU-02").update(tax_class="reduced")
    lines = [{"sku": "SKU-01", "quantity": 3}, {"sku": "SKU-02", "quantity": 1}]
    told = quoted(caller, lines=lines, country=country, code=code)

    for method in told["methods"]:
        placed = place(
            caller,
            method["total"],
            lines=lines,
            country=country,
            code=code,
            delivery_method=method["id"],
        )
        order = Order.objects.latest("id")
        assert placed.status == 201, placed.body
        assert placed.json["total"] == method["total"]
        assert (order.delivery_method, order.delivery_name) == (method["id"], method["name"])
        assert order.discount_code == told["code"] == code.upper()
        assert [tax["percent"] for tax in order.taxes] == [tax["percent"] for tax in method["tax"]]


def test_cheapest_method_is_taken_where_none_is_named(caller: Caller) -> None:
    _, post = set_methods()

    placed = place(caller, "24.92")

    assert placed.status == 201
    assert Order.objects.get().delivery_method == str(post.pk)


def test_purchase_that_a_code_makes_free_is_paid_at_once(caller: Caller) -> None:
    discount_code("ALL", percent="100")
    [method] = quoted(caller, code="all")["methods"]

    placed = place(caller, method["total"], code="all")

    assert method["total"] == "0.00"
    assert (placed.status, placed.json["total"]) == (201, "0.00")
    order = Order.objects.get()
    assert (order.status, order.goods_minor, order.discount_minor) == ("paid", 2002, 2002)
    assert DiscountCode.objects.get().used == 1


def test_code_is_counted_once_for_one_key(caller: Caller) -> None:
    discount_code("TENTH", limit=1)
    content = PURCHASE | {"code": "tenth", "expected_total": "18.02"}

    first, again = (caller.place("k-1", content) for _ in range(2))
    other = caller.place("k-2", content)

    assert (first.status, again.status) == (201, 201)
    assert (again.body, again.headers["Idempotent-Replayed"]) == (first.body, "true")
    assert pointers(other).keys() == {"/code"}
    assert DiscountCode.objects.get().used == 1


@pytest.mark.parametrize("includes_tax", [True, False])
def test_page_and_quote_tell_the_same_total(
    caller: Caller, settings: Settings, includes_tax: bool
) -> None:
    settings.PRICES_INCLUDE_TAX, settings.SHOP_COUNTRY = includes_tax, "IE"
    _, post = set_rules()
    shopper = Shopper(InProcess())
    shopper.add_to_cart("SKU-01", 2)
    chosen = {"delivery_method": str(post.pk), "code": "tenth"}
    asked = shopper.submit(shopper.open_checkout() | chosen)

    bought = shopper.submit(read_form(asked.text, "/checkout/") | shopper.typed | chosen)

    assert (asked.status, bought.status) == (409, 303)
    on_page = Order.objects.get()
    told = quoted(caller, code="tenth")["methods"][1]
    assert Decimal(told["total"]) == on_page.total.amount
    placed = place(caller, told["total"], **chosen)
    assert placed.json["total"] == told["total"]
    by_program = Order.objects.latest("id")
    assert parts(by_program) == parts(on_page)


def parts(order: Order) -> dict[str, Any]:
    names = ("goods_minor", "discount_minor", "delivery_minor", "tax_minor", "taxes")
    return {name: getattr(order, name) for name in (*names, "discount_code", "delivery_name")}
