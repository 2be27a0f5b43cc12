"""The contract suite is of use only if it can fail: each gateway is told to break one rule."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.base import GatewayPayment
from payments.gateways.example.client import ExampleGateway
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox import account, idempotency, intents
from payments.sandbox.mollie import account as mollie_account
from payments.sandbox.mollie.server import MollieSandbox
from payments.sandbox.server import SandboxServer
from tests.payments.bank_transfer.test_contract import TestBankTransfer as BankTransferContract
from tests.payments.capture_contract import CaptureContract
from tests.payments.gateway_contract import GatewayContract
from tests.payments.test_gateway_contract import MollieContract
from tests.payments.test_gateway_contract import (
    TestStripeAdapterAgainstTheSandbox as StripeContract,
)

NEVER = timedelta(0)


@pytest.fixture
def mollie(monkeypatch: pytest.MonkeyPatch) -> Iterator[MollieGateway]:
    monkeypatch.setattr(mollie_account, "KEYS_KEPT", NEVER)
    sandbox = MollieSandbox()
    sandbox.start()
    yield MollieGateway(api_key="test_shop", api_base=sandbox.url)
    sandbox.stop()


def test_sandbox_of_stripe_that_forgets_its_keys_is_noticed(
    gateway: StripeGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency, "KEYS_KEPT", NEVER)

    with pytest.raises(AssertionError):
        GatewayContract().test_opening_again_under_one_key_is_the_same_payment(gateway)


def test_sandbox_of_mollie_that_forgets_its_keys_is_noticed(mollie: MollieGateway) -> None:
    with pytest.raises(AssertionError):
        MollieContract().test_opening_again_under_one_key_is_the_same_payment(mollie)


def test_example_that_forgets_its_keys_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: ExampleGateway, key: str, asked: object, act: Any) -> Any:
        return act()

    monkeypatch.setattr(ExampleGateway, "_once", forget)

    with pytest.raises(AssertionError):
        GatewayContract().test_opening_again_under_one_key_is_the_same_payment(ExampleGateway())


def test_sandbox_of_stripe_that_charges_again_is_noticed_by_its_own_books(
    gateway: StripeGateway, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of its answers says what it should."""
    confirm = intents.confirm

    def confirm_again(intent: intents.Intent, **how: Any) -> intents.Step:
        return confirm(replace(intent, status="requires_confirmation"), **how)

    monkeypatch.setattr(intents, "confirm", confirm_again)
    contract = StripeContract()
    contract.sandbox_url = sandbox.url

    with pytest.raises(AssertionError, match=r"assert 2 in \(1, None\)"):
        contract.test_confirming_again_is_the_same_charge(gateway)


def test_sandbox_of_stripe_that_captures_again_is_noticed_by_its_own_books(
    gateway: StripeGateway, sandbox: SandboxServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It forgets the key of a capture, and answers as if it had not."""
    capture = account.Account._capture

    def capture_again(self: Any, intent_id: str, request: Any) -> Any:
        answer = capture(self, intent_id, request)
        self._answered = getattr(self, "_answered", answer)
        return self._answered

    monkeypatch.setattr(account.Account, "_capture", capture_again)
    monkeypatch.setattr(idempotency, "KEYS_KEPT", NEVER)
    contract = StripeContract()
    contract.sandbox_url = sandbox.url

    with pytest.raises(AssertionError, match=r"assert 1200 in \(400, None\)"):
        contract.test_charge_again_under_one_key_is_the_same(gateway)


def test_example_that_charges_more_than_was_set_aside_is_noticed() -> None:
    class Greedy(ExampleGateway):
        def capture(self, payment_id: str, *, amount_minor: int, **how: Any) -> GatewayPayment:
            return super().capture(payment_id, amount_minor=min(amount_minor, 1250), **how)

    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"):
        CaptureContract().test_more_than_is_set_aside_is_refused(Greedy())


@pytest.mark.django_db(transaction=True)
def test_transfer_that_sends_back_more_than_came_is_noticed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(
        "payments.gateways.bank_transfer.client._returned_minor", lambda expected, **which: 0
    )

    with pytest.raises(pytest.fail.Exception):
        BankTransferContract().test_more_than_is_left_is_refused(BankTransferGateway())
