"""Every named place of placing: the process dies there, or loses all its connections there.

Whatever happened, the same request with the same key leads to one order and one charge, and no key
is left locked.
"""

from collections.abc import Callable

import pytest
import requests
from django.db import OperationalError

from checkout.catalogue.models import Product
from checkout.models import ApiRequest
from checkout.runtime.faultpoints import WEB
from tests.support.api_caller import Answer, Caller
from tests.support.crashes import each_once
from tests.support.processes import ShopProcesses
from tests.support.till import Till, assert_one_order_one_charge

pytestmark = pytest.mark.django_db(transaction=True)

# The pages' own: a token, and the gateway's webhook.
PLACING = [place for place in WEB if place not in {"token verified", "webhook stored"}]

TRIES = 6


@pytest.mark.parametrize("fault", each_once(*PLACING))
def test_web_process_fails_while_placing(
    processes: ShopProcesses, caller: Caller, till: Till, fault: str
) -> None:
    there = caller.at(processes.web(FAULT_POINT=fault).url)
    if fault.startswith("kill"):
        with pytest.raises(requests.ConnectionError):
            there.place("k-1")
        there = caller  # another process

    answer = send_until_placed(there, "k-1")

    order = assert_one_order_one_charge(till)
    assert answer.json["reference"] == order.reference
    assert ApiRequest.objects.get().order == order
    assert Product.objects.get(sku="SKU-01").stock == 99_998
    again = caller.place("k-1")
    assert (again.body, again.headers["Idempotent-Replayed"]) == (answer.body, "true")


def send_until_placed(caller: Caller, key: str) -> Answer:
    for _ in range(TRIES):
        try:
            answer = caller.place(key)
        except requests.ConnectionError:
            continue
        if answer.status == 201:
            return answer
        assert answer.status in {409, 503}, answer.body
        assert answer.json["charged"] == "unknown"
    raise AssertionError("It was never placed.")


def fail(error: Exception) -> Callable[..., None]:
    def failing(*_: object, **__: object) -> None:
        raise error

    return failing


@pytest.mark.parametrize("place", ["checkout.api.views.find_earlier", "knox.auth.hash_token"])
def test_database_that_is_away_is_told_as_such(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setattr(place, fail(OperationalError("gone")))

    answer = caller.place("k-1")

    assert (answer.status, answer.problem) == (503, "unavailable")
    assert answer.json["charged"] == "unknown"
    assert answer.headers["Retry-After"] == "10"
    assert "same key" in answer.json["detail"]


def test_mistake_of_ours_is_told_without_what_it_was(
    caller: Caller, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("checkout.api.views.find_earlier", fail(RuntimeError("Ada's secret")))

    answer = caller.place("k-1")

    assert (answer.status, answer.problem) == (500, "server-error")
    assert answer.json["charged"] == "unknown"
    assert "secret" not in answer.body.decode()
    assert [record.levelname for record in caplog.records if record.exc_info] == ["ERROR"]
