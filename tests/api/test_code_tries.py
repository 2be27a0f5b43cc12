"""A program whose customers guess discount codes is told nothing after a few of them."""

import json
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits.rates import read_rates
from checkout.orders.models import LimitCount
from tests.support.api_caller import PURCHASE, Answer, new_caller
from tests.support.codes import new_code


@pytest.fixture(autouse=True)
def _three_tries(at_noon: None, settings: Settings) -> None:
    settings.LIMIT_CODES = read_rates("client 3/10m, shop 1000/10m")


def words(answer: Answer) -> str:
    return str(json.dumps(answer.json))


def test_quotes_and_orders_of_a_client_count_its_wrong_codes(shelf: list[Product]) -> None:
    new_code()
    caller = new_caller()
    wanted: dict[str, Any] = {"lines": [{"sku": "SKU-01", "quantity": 2}], "country": "IE"}

    def ask(code: str) -> Answer:
        body = json.dumps(wanted | {"code": code}).encode()
        return caller.send("POST", "/api/v1/quotes/", body, Content_Type="application/json")

    def place(code: str) -> Answer:
        return caller.place(None, PURCHASE | {"expected_total": "20.02", "code": code})

    guesses = [ask("GUESS-1"), place("GUESS-2"), ask("GUESS-3")]
    held_back = [ask("tenth"), place("tenth")]

    assert [answer.status for answer in (*guesses, *held_back)] == [422] * 5
    assert all("no such code" in words(answer) for answer in guesses)
    assert all("Too many codes were tried" in words(answer) for answer in held_back)
    assert LimitCount.objects.get(key__startswith="codes:client").count == 3
    assert ask("").status == 200
