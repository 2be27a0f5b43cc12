"""Requests that are not what they should be: a clear 4xx, and nothing stored."""

import json
from bisect import bisect_left
from typing import Any

import pytest
from django.test import Client

from checkout.api.parsers import MAX_BODY_BYTES
from checkout.catalogue.models import Product
from checkout.models import ApiRequest
from checkout.orders.models import LimitCount, Order
from tests.support.api_caller import ORDERS, PURCHASE, Answer, Caller, new_key

JSON = "application/json"


@pytest.fixture(autouse=True)
def _nothing_is_stored(shelf: list[Product]) -> Any:
    yield
    assert not Order.objects.exists()
    assert not ApiRequest.objects.exists()
    assert Product.objects.get(sku="SKU-01").stock == 100_000


def place_raw(caller: Caller, body: bytes, content_type: str = JSON) -> Answer:
    return caller.send("POST", ORDERS, body, Content_Type=content_type, Idempotency_Key=new_key())


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"total": "0.01"}, "/total"),
        ({"currency": "JPY"}, "/currency"),
        ({"status": "paid"}, "/status"),
        ({"customer_id": 1}, "/customer_id"),
        (
            {"lines": [{"sku": "SKU-01", "quantity": 1, "unit_price": "0.01"}]},
            "/lines/0/unit_price",
        ),
        ({"\ud800": 1}, "/?"),
        ({"a/b~": 1}, "/a~1b~0"),
        ({"lines": []}, "/lines"),
        ({"lines": {}}, "/lines"),
        ({"lines": None}, "/lines"),
        ({"lines": [{"sku": "SKU-01", "quantity": 1}] * 51}, "/lines"),
        ({"lines": [{"sku": "SKU-01", "quantity": 1}, "no"]}, "/lines/1"),
        ({"lines": [{"sku": "SKU-02"}]}, "/lines/0/quantity"),
        ({"lines": [{"sku": 1, "quantity": 1}]}, "/lines/0/sku"),
        ({"lines": [{"sku": "SKU-01\0", "quantity": 1}]}, "/lines/0/sku"),
        ({"lines": [{"sku": "NO", "quantity": 1}]}, "/lines/0/sku"),
        ({"lines": [{"sku": "SKU-01", "quantity": 1}] * 2}, "/lines/1/sku"),
        *(
            ({"lines": [{"sku": "SKU-01", "quantity": quantity}]}, "/lines/0/quantity")
            for quantity in (0, -1, 100, 10**30, 1.0, 1.5, "1", True, None)
        ),
        ({"email": "ada"}, "/email"),
        ({"email": f"{'a' * 60}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com"}, "/email"),
        ({"full_name": ""}, "/full_name"),
        ({"full_name": 5}, "/full_name"),
        ({"full_name": "A\0B"}, "/full_name"),
        ({"full_name": "A\ud800B"}, "/full_name"),
        ({"full_name": "x" * 201}, "/full_name"),
        ({"full_name": "4242 4242 4242 4242"}, "/full_name"),  # kept by nobody
        ({"country": "XX"}, "/country"),
        ({"payment_method": "4242424242424242"}, "/payment_method"),
    ],
)
def test_field_that_is_not_right_is_named(
    caller: Caller, change: dict[str, Any], pointer: str
) -> None:
    answer = caller.place(None, PURCHASE | change)

    assert (answer.status, answer.problem) == (422, "invalid-request")
    assert pointer in {error["pointer"] for error in answer.json["errors"]}
    assert answer.json["charged"] is False
    assert "4242" not in answer.body.decode()


@pytest.mark.parametrize("missing", [name for name in PURCHASE if name != "postcode"])
def test_field_that_is_missing_is_named(caller: Caller, missing: str) -> None:
    rest = {name: value for name, value in PURCHASE.items() if name != missing}

    answer = caller.place(None, rest)

    assert answer.status == 422
    assert [error["pointer"] for error in answer.json["errors"]] == [f"/{missing}"]


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"\xff\xfe",
        b'{"a": NaN}',
        b'{"a": 1, "a": 2}',
        b'{"a": "\0"}',
        b"[" * 30_000,
        b'{"lines": ' + b"[" * 20_000 + b"]" * 20_000 + b"}",
        b'{"a":' * 9_000,
        b"9" * 60_000,
        b"\xef\xbb\xbf{}",
    ],
    ids=lambda body: body[:12].decode("latin-1"),
)
def test_body_that_is_no_json_is_refused(caller: Caller, body: bytes) -> None:
    answer = place_raw(caller, body)

    assert (answer.status, answer.problem) == (400, "malformed-request")
    assert answer.json["charged"] is False


@pytest.mark.parametrize("body", [b"[]", b"null", b'"text"', b"7", b"true"])
def test_json_that_is_no_object_is_refused(caller: Caller, body: bytes) -> None:
    assert place_raw(caller, body).problem == "invalid-request"


def test_nesting_of_any_depth_is_refused(caller: Caller) -> None:
    """Also at the depth that can just be read: nothing after that goes deeper."""

    def status(depth: int) -> int:
        return place_raw(caller, b'{"lines": ' + b"[" * depth + b"]" * depth + b"}").status

    # Pythons differ in how deep they read: 3.11 a thousand levels, later ones many thousands.
    depths = range(MAX_BODY_BYTES // 2 - 100)
    limit = bisect_left(depths, 400, key=lambda depth: 400 if status(depth) == 400 else 0)

    assert limit > 100
    around = {status(depth) for depth in range(limit - 20, min(limit + 20, len(depths)))}
    assert around <= {400, 422}
    assert 422 in around


def test_body_above_64_kib_is_not_read(caller: Caller) -> None:
    answer = place_raw(caller, json.dumps(PURCHASE).encode().ljust(65_537))

    assert (answer.status, answer.problem) == (413, "too-large")
    assert answer.json["charged"] is False


@pytest.mark.parametrize("length", ["", "99999999999999999999"])
def test_body_of_unknown_length_is_refused(caller: Caller, length: str) -> None:
    unknown = {"CONTENT_LENGTH": length} if length else {"HTTP_TRANSFER_ENCODING": "chunked"}
    program = Client(**unknown)  # type: ignore[arg-type] # headers, as WSGI names them
    headers = {"Idempotency-Key": "k-1", "Authorization": f"Bearer {caller.token}"}
    answer = program.generic("POST", ORDERS, b"", JSON, headers=headers)

    assert answer.status_code == (413 if length else 411)


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "x"]
)
def test_body_of_another_type_is_refused(caller: Caller, content_type: str) -> None:
    answer = place_raw(caller, json.dumps(PURCHASE).encode(), content_type)

    assert (answer.status, answer.problem) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    ("method", "path", "problem"),
    [
        ("GET", "/api/v1/nothing/", "not-found"),
        ("POST", "/api/v1/orders", "not-found"),  # without the slash: never redirected
        ("GET", "/api/v1/", "not-found"),
        ("GET", "/api/v1/orders/short/", "not-found"),
        ("GET", "/api/v1/problems/nothing", "not-found"),
        ("GET", "/api/v2/", "not-found"),
        ("DELETE", ORDERS, "method-not-allowed"),
        ("PATCH", f"{ORDERS}{'r' * 22}/", "method-not-allowed"),
        ("OPTIONS", ORDERS, "method-not-allowed"),
        ("GET", f"{ORDERS}?cursor=nonsense", "malformed-request"),
        ("GET", f"{ORDERS}?cursor=cD1hYmM=", "malformed-request"),  # p=abc
        ("GET", f"{ORDERS}?cursor=cD05OTk5OTk5OTk5OTk5OTk5OTk5OTk5", "malformed-request"),
    ],
)
def test_address_or_method_that_is_none_is_a_problem_document(
    caller: Caller, method: str, path: str, problem: str
) -> None:
    assert caller.send(method, path).problem == problem


def test_answer_in_another_type_is_refused(caller: Caller) -> None:
    answer = caller.get(ORDERS, Accept="application/xml")

    assert (answer.status, answer.problem) == (406, "not-acceptable")


def test_host_that_is_not_ours_is_a_problem_document(caller: Caller) -> None:
    answer = caller.get(ORDERS, Host="elsewhere.example")

    assert (answer.status, answer.problem) == (400, "malformed-request")


def test_nobody_is_counted_for_a_purchase_that_was_refused(caller: Caller) -> None:
    caller.place(None, PURCHASE | {"city": ""})

    assert not LimitCount.objects.exists()
