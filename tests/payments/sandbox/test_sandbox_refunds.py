"""Refunds and 3-D Secure at the sandbox, by the rules of Stripe's documentation."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from payments.sandbox.server import SandboxServer

KEY = ("sk_test_shop", "")


def post(sandbox: SandboxServer, path: str, **params: Any) -> requests.Response:
    return requests.post(f"{sandbox.url}/v1/{path}", auth=KEY, data=params, timeout=10)


def intent(sandbox: SandboxServer, method: str = "pm_card_visa") -> str:
    params = {"amount": 1000, "currency": "eur", "payment_method": method}
    answer: str = post(sandbox, "payment_intents", **params).json()["id"]
    return answer


@pytest.fixture
def charged(sandbox: SandboxServer) -> str:
    payment_id = intent(sandbox)
    post(sandbox, f"payment_intents/{payment_id}/confirm")
    return payment_id


def test_without_an_amount_all_that_is_left_goes_back(sandbox: SandboxServer, charged: str) -> None:
    """Stripe API reference, "Create a refund", amount."""
    post(sandbox, "refunds", payment_intent=charged, amount=300)

    rest = post(sandbox, "refunds", payment_intent=charged).json()

    assert (rest["amount"], rest["status"], rest["object"]) == (700, "succeeded", "refund")


@pytest.mark.parametrize(
    ("amount", "code"),
    [("1001", "amount_too_large"), ("0", "parameter_invalid_integer")],
)
def test_impossible_amount_is_refused(
    sandbox: SandboxServer, charged: str, amount: str, code: str
) -> None:
    """Stripe API reference, "Create a refund": an error when more than is left is asked for."""
    answer = post(sandbox, "refunds", payment_intent=charged, amount=amount)

    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_charge_that_is_wholly_refunded_is_refused(sandbox: SandboxServer, charged: str) -> None:
    """Stripe docs, "Error codes", charge_already_refunded."""
    post(sandbox, "refunds", payment_intent=charged)

    answer = post(sandbox, "refunds", payment_intent=charged)

    assert answer.json()["error"]["code"] == "charge_already_refunded"


def test_sixteen_at_once_never_send_back_more_than_was_charged(
    sandbox: SandboxServer, charged: str
) -> None:
    with ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(
                lambda _: post(sandbox, "refunds", payment_intent=charged, amount=300), range(16)
            )
        )

    assert [answer.status_code for answer in answers].count(200) == 3


def test_restart_keeps_refunds(ledger_path: Path, sandbox: SandboxServer, charged: str) -> None:
    made = post(sandbox, "refunds", payment_intent=charged, amount=300).json()
    sandbox.stop()

    again = SandboxServer(ledger_path=ledger_path)
    again.start()
    told = requests.get(f"{again.url}/v1/refunds/{made['id']}", auth=KEY, timeout=10).json()
    over = post(again, "refunds", payment_intent=charged, amount=701)
    again.stop()

    assert told == made
    assert over.status_code == 400


def test_unknown_refund_is_a_404(sandbox: SandboxServer) -> None:
    answer = requests.get(f"{sandbox.url}/v1/refunds/re_none", auth=KEY, timeout=10)

    assert answer.status_code == 404


def asked(sandbox: SandboxServer) -> tuple[str, str]:
    payment_id = intent(sandbox, "pm_card_authenticationRequired")
    params = {"return_url": "http://shop.example/back?x=1"}
    told = post(sandbox, f"payment_intents/{payment_id}/confirm", **params).json()
    assert told["status"] == "requires_action"
    assert told["next_action"]["type"] == "redirect_to_url"
    address: str = told["next_action"]["redirect_to_url"]["url"]
    return payment_id, address


@pytest.mark.parametrize(
    ("answer", "status", "outcome"),
    [("approve", "succeeded", "succeeded"), ("refuse", "requires_payment_method", "failed")],
)
def test_customers_answer_counts_once_and_leads_back(
    sandbox: SandboxServer, answer: str, status: str, outcome: str
) -> None:
    """Stripe docs, "3D Secure authentication flow": back to return_url with the outcome."""
    payment_id, address = asked(sandbox)

    replies = [
        requests.post(address, data={"answer": given}, allow_redirects=False, timeout=10)
        for given in (answer, "approve", "refuse")
    ]

    told = requests.get(f"{sandbox.url}/v1/payment_intents/{payment_id}", auth=KEY, timeout=10)
    assert told.json()["status"] == status
    expected = f"http://shop.example/back?x=1&payment_intent={payment_id}&redirect_status={outcome}"
    assert {reply.headers["Location"] for reply in replies} == {expected}


def test_without_a_way_back_the_customer_cannot_be_asked(sandbox: SandboxServer) -> None:
    """Stripe API reference, "Confirm a PaymentIntent", return_url."""
    payment_id = intent(sandbox, "pm_card_authenticationRequired")

    answer = post(sandbox, f"payment_intents/{payment_id}/confirm")

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "return_url")


def test_cancelled_payment_has_nothing_to_approve(sandbox: SandboxServer) -> None:
    payment_id, address = asked(sandbox)
    post(sandbox, f"payment_intents/{payment_id}/cancel")

    page = requests.get(address, timeout=10)

    assert "nothing to approve" in page.text
    requests.post(address, data={"answer": "approve"}, allow_redirects=False, timeout=10)
    assert sandbox.account.charges() == []
