import os
import secrets
from collections.abc import Iterator

import pytest
import requests

from payments.gateways.base import (
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
)
from payments.gateways.example.client import ExampleGateway
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.clock import MovableClock
from payments.sandbox.mollie.server import MollieSandbox
from payments.sandbox.server import SandboxServer
from tests.payments.capture_contract import CaptureContract
from tests.payments.gateway_contract import GatewayContract

TEST_KEY = "STRIPE_TEST_SECRET_KEY"
MOLLIE_TEST_KEY = "MOLLIE_TEST_API_KEY"


def sends_evidence(gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
    """Stripe docs, "Testing", Disputes: in test mode the evidence says how the bank decides."""
    assert isinstance(gateway, StripeGateway)
    text = "winning_evidence" if won else "losing_evidence"
    gateway._disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}, "submit": True})


class TestStripeAdapterAgainstTheSandbox(CaptureContract):
    """`gateway` is the fixture of tests/conftest.py."""

    charged_once = "pm_sandbox_one_capture"

    currencies = ("EUR", "JPY", "ISK", "UGX", "MGA", "KWD", "HUF")
    disputed_by_its_bank = "pm_card_createDispute"
    asked_about_by_its_bank = "pm_card_createDisputeInquiry"
    refunds_can_fail_late = True

    @pytest.fixture(autouse=True)
    def _at(self, sandbox: SandboxServer) -> None:
        self.sandbox_url = sandbox.url

    def charges(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        return len(self._charged(payment))

    def charged(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        return sum(self._charged(payment))

    def end_authorisation(self, gateway: Gateway, payment: GatewayPayment) -> None:
        a_week = {"advance_seconds": 7 * 24 * 3600 + 1}
        requests.post(f"{self.sandbox_url}/sandbox/clock", json=a_week, timeout=10)

    def _charged(self, payment: GatewayPayment) -> list[int]:
        ledger = requests.get(f"{self.sandbox_url}/sandbox/ledger", timeout=10).json()
        of_payment = [each for each in ledger["charges"] if each["payment_intent"] == payment.id]
        return [charge["amount"] for charge in of_payment]

    def decide(self, gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
        sends_evidence(gateway, dispute, won=won)

    def fail_refund(self, gateway: Gateway, refund: GatewayRefund) -> None:
        wish = {"refund": refund.id, "status": "failed"}
        requests.post(f"{self.sandbox_url}/sandbox/refunds", json=wish, timeout=10)


class TestStripeAdapterWithTokensAgainstTheSandbox(TestStripeAdapterAgainstTheSandbox):
    """As the Payment Element makes them, of any way to pay. Each is used once."""

    asks_customer = "pm_paypal"
    promised = "pm_sepaDebit"
    charged_at_once = "pm_sepaDebit"

    def chosen(self, method: str) -> str:
        return f"ctoken_{secrets.token_hex(6)}_{method.removeprefix('pm_')}"

    def end_promise(self, gateway: Gateway, payment: GatewayPayment, *, money_came: bool) -> None:
        wish = {"payment_intent": payment.id, "money_came": money_came}
        requests.post(f"{self.sandbox_url}/sandbox/debits", json=wish, timeout=10)


class TestExampleInMemory(CaptureContract):
    @pytest.fixture
    def gateway(self) -> ExampleGateway:
        self.clock = MovableClock()
        return ExampleGateway(clock=self.clock)

    def end_authorisation(self, gateway: Gateway, payment: GatewayPayment) -> None:
        self.clock.advance(7 * 24 * 3600 + 1)


class MollieContract(GatewayContract):
    approved = "ideal"
    declined = "creditcard"
    asks_customer = "bancontact"
    promised = "banktransfer"
    opens_as = GatewayState.NEEDS_ACTION
    refunds_can_fail_late = False
    currencies = ("EUR", "JPY", "HUF")


class TestMollieAdapterAgainstItsSandbox(MollieContract):
    @pytest.fixture
    def mollie(self) -> Iterator[MollieSandbox]:
        sandbox = MollieSandbox()
        sandbox.start()
        yield sandbox
        sandbox.stop()

    @pytest.fixture
    def gateway(self, mollie: MollieSandbox) -> MollieGateway:
        self.sandbox = mollie
        return MollieGateway(api_key="test_shop", api_base=mollie.url)

    def confirm(
        self, gateway: Gateway, payment: GatewayPayment, idempotency_key: str = ""
    ) -> GatewayPayment:
        """Its customer acts on Mollie's page, as the method of the payment has them."""
        method = self.sandbox.account.show(payment.id)["method"]
        ends = {self.approved: "paid", self.declined: "failed", self.promised: "pending"}
        self.sandbox.account.move(payment.id, ends.get(method, "open"))
        return super().confirm(gateway, payment, idempotency_key)

    def charges(self, gateway: Gateway, payment: GatewayPayment) -> int | None:
        return [charge["payment"] for charge in self.sandbox.account.charges()].count(payment.id)

    def end_promise(self, gateway: Gateway, payment: GatewayPayment, *, money_came: bool) -> None:
        self.sandbox.account.move(payment.id, "paid" if money_came else "failed")


@pytest.mark.skipif(MOLLIE_TEST_KEY not in os.environ, reason=f"{MOLLIE_TEST_KEY} is not set")
class TestMollieAdapterAgainstMollie(MollieContract):
    """What needs no customer: in test mode a person chooses on Mollie's page how a payment ends."""

    approved = declined = asks_customer = promised = ""

    @pytest.fixture
    def gateway(self) -> MollieGateway:
        return MollieGateway(api_key=os.environ[MOLLIE_TEST_KEY])

    def confirm(
        self, gateway: Gateway, payment: GatewayPayment, idempotency_key: str = ""
    ) -> GatewayPayment:
        pytest.skip("Nobody pays on Mollie's page here.")


@pytest.mark.skipif(TEST_KEY not in os.environ, reason=f"{TEST_KEY} is not set")
class TestStripeAdapterAgainstStripe(CaptureContract):
    currencies = ("EUR", "JPY", "ISK", "MGA", "HUF")
    disputed_by_its_bank = "pm_card_createDispute"
    asked_about_by_its_bank = "pm_card_createDisputeInquiry"

    def decide(self, gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
        sends_evidence(gateway, dispute, won=won)

    @pytest.fixture
    def gateway(self) -> StripeGateway:
        return StripeGateway(secret_key=os.environ[TEST_KEY])
