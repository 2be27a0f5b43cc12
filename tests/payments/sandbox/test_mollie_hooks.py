"""Mollie's sandbox tells of a payment until it is heard."""

import threading

import pytest
import requests

from checkout.orders.identity.order_identity import OrderIdentity
from payments.gateways.mollie.client import MollieGateway
from payments.sandbox.mollie import server
from payments.sandbox.mollie.server import MollieSandbox
from tests.support.asked import asked
from tests.support.processes import eventually

HOOK = "http://shop.example/hook/"
OPENED = asked(
    "",
    order=OrderIdentity(number="100001-19"),
    amount_minor=1250,
    return_url="http://shop.example/",
)


def test_hook_that_was_not_heard_comes_again(
    mollie: MollieSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []

    def shop(address: str, *, data: dict[str, str], timeout: float) -> requests.Response:
        assert address == HOOK
        heard.append(data["id"])
        if len(heard) == 1:
            raise requests.ConnectionError
        answer = requests.Response()
        answer.status_code = 503 if len(heard) == 2 else 200
        return answer

    monkeypatch.setattr(server, "FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr("payments.sandbox.mollie.server.requests.post", shop)
    gateway = MollieGateway(api_key="test_shop", api_base=mollie.url, hook=HOOK)
    payment = gateway.open(OPENED, idempotency_key="open-1")

    mollie.account.move(payment.id, "paid")

    eventually(lambda: len(heard) == 3, what="a hook that is heard")
    assert set(heard) == {payment.id}


def test_shop_that_is_slow_to_answer_one_hook_is_told_of_others_meanwhile(
    mollie: MollieSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[str] = []
    answers = threading.Event()

    def shop(address: str, *, data: dict[str, str], timeout: float) -> requests.Response:
        heard.append(data["id"])
        if data["id"] == first.id:
            answers.wait(timeout)
        answer = requests.Response()
        answer.status_code = 200
        return answer

    monkeypatch.setattr("payments.sandbox.mollie.server.requests.post", shop)
    gateway = MollieGateway(api_key="test_shop", api_base=mollie.url, hook=HOOK)
    first, second = [gateway.open(OPENED, idempotency_key=f"open-{n}") for n in (1, 2)]

    try:
        for payment in (first, second):
            mollie.account.move(payment.id, "paid")
        eventually(lambda: second.id in heard, what="a hook beside one that waits", seconds=2)
    finally:
        answers.set()
