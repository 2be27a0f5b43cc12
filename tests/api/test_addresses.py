"""Addresses as the API takes them: by the rules of their countries, and a bill to elsewhere."""

from typing import Any

import pytest

from checkout.orders.models import Order
from tests.api.shop_rules import set_methods
from tests.support.api_caller import PURCHASE, Answer, Caller
from tests.support.rules import tax_rate

US: dict[str, Any] = {
    "address": "1 Quill Street",
    "address2": "Floor 3",
    "city": "Portland",
    "region": "Oregon",
    "postcode": "97201",
    "country": "US",
    "company": "Quillfeather Ltd",
    "phone": "+1 503 555 0100",
}
BILL: dict[str, Any] = {
    "company": "Federkiel GmbH",
    "address": "Tintenweg 12",
    "city": "Berlin",
    "postcode": "10115",
    "country": "DE",
}


def place(caller: Caller, **change: object) -> Answer:
    return caller.place(None, PURCHASE | change)


def pointers(refused: Answer) -> list[str]:
    assert (refused.status, refused.problem) == (422, "invalid-request"), refused.body
    return [error["pointer"] for error in refused.json["errors"]]


def test_every_part_is_stored_with_the_order(caller: Caller) -> None:
    placed = place(caller, **US, vat_id="DE 136 695 976", billing=BILL | {"address2": "2. Hof"})

    assert placed.status == 201, placed.body
    order = Order.objects.get()
    assert (order.address, order.address2, order.city) == ("1 Quill Street", "Floor 3", "Portland")
    assert (order.region, order.postcode, order.country) == ("OR", "97201", "US")
    assert (order.company, order.phone) == ("Quillfeather Ltd", "+1 503 555 0100")
    assert order.vat_id == "DE136695976"
    assert order.billing == {"full_name": "", "region": "", "address2": "2. Hof"} | BILL


def test_region_is_required_where_the_country_has_them(caller: Caller) -> None:
    rest = {name: part for name, part in US.items() if name != "region"}

    assert pointers(place(caller, **rest)) == ["/region"]
    assert pointers(place(caller, **US | {"region": "Bavaria"})) == ["/region"]


def test_city_is_not_required_where_the_country_has_none(caller: Caller) -> None:
    rest = {name: part for name, part in PURCHASE.items() if name != "city"}

    placed = caller.place(None, rest | {"country": "SG", "postcode": "018956"})

    assert placed.status == 201, placed.body


def test_carrier_is_sent_with_a_telephone_number(caller: Caller) -> None:
    courier, _ = set_methods()

    placed = place(
        caller,
        delivery_method=str(courier.pk),
        expected_total="32.02",
        phone="+353 21 555 0100",
    )

    assert placed.status == 201, placed.body
    assert Order.objects.get().delivery_name == "Courier"


@pytest.mark.parametrize(
    ("change", "pointer"),
    [
        ({"phone": "none"}, "/phone"),
        ({"phone": 353}, "/phone"),
        ({"vat_id": "DE136695977"}, "/vat_id"),
        ({"address2": "x" * 301}, "/address2"),
        ({"company": "4242 4242 4242 4242"}, "/company"),
        ({"billing": None}, "/billing"),
        ({"billing": "Berlin"}, "/billing"),
        ({"billing": {}}, "/billing/country"),
        ({"billing": {"country": "DE"}}, "/billing"),
        ({"billing": BILL | {"country": "XX"}}, "/billing/country"),
        ({"billing": BILL | {"city": ""}}, "/billing/city"),
        ({"billing": BILL | {"company": ""}}, "/billing/full_name"),
        ({"billing": BILL | {"city": 1}}, "/billing/city"),
        ({"billing": BILL | {"city": "4242 4242 4242 4242"}}, "/billing/city"),
        ({"billing": BILL | {"phone": "1"}}, "/billing/phone"),
        ({"billing": BILL | {"country": "US", "region": "Cork"}}, "/billing/region"),
        ({"billing_city": "Berlin"}, "/billing_city"),
    ],
)
def test_part_that_is_not_right_is_named(
    caller: Caller, change: dict[str, Any], pointer: str
) -> None:
    refused = place(caller, **change)

    assert pointer in pointers(refused)
    assert "4242" not in refused.body.decode()
    assert not Order.objects.exists()


@pytest.mark.parametrize("region", ["OR", "Oregon", "oregon", " or "])
def test_quote_and_order_read_a_region_alike(caller: Caller, region: str, settings: Any) -> None:
    settings.PRICES_INCLUDE_TAX = False
    tax_rate("US", "5")
    tax_rate("US", "0", region="OR")
    wanted = {"lines": PURCHASE["lines"], "country": "US", "region": region}

    [method] = caller.post("/api/v1/quotes/", wanted).json["methods"]

    assert method["total"] == "20.02"
    placed = place(caller, **US | {"region": region})
    assert placed.json["total"] == method["total"]


def test_quote_needs_no_region_but_refuses_one_of_elsewhere(caller: Caller) -> None:
    wanted = {"lines": PURCHASE["lines"], "country": "US"}

    assert caller.post("/api/v1/quotes/", wanted).status == 200
    assert pointers(caller.post("/api/v1/quotes/", wanted | {"region": "Bavaria"})) == ["/region"]
