import os

import pytest
import requests

from payments.gateways.base import Gateway, GatewayDispute, GatewayRefund
from payments.gateways.example.client import ExampleGateway
from payments.gateways.stripe.client import StripeGateway
from payments.sandbox.server import SandboxServer
from tests.payments.gateway_contract import GatewayContract

TEST_KEY = "STRIPE_TEST_SECRET_KEY"


def sends_evidence(gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
    """Stripe docs, "Testing", Disputes: in test mode the evidence says how the bank decides."""
    assert isinstance(gateway, StripeGateway)
    text = "winning_evidence" if won else "losing_evidence"
    gateway._disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}, "submit": True})


class TestStripeAdapterAgainstTheSandbox(GatewayContract):
    """`gateway` is the fixture of tests/conftest.py."""

    currencies = ("EUR", "JPY", "ISK", "UGX", "MGA", "KWD", "HUF")
    disputed_by_its_bank = "pm_card_createDispute"
    asked_about_by_its_bank = "pm_card_createDisputeInquiry"
    refunds_can_fail_late = True

    @pytest.fixture(autouse=True)
    def _at(self, sandbox: SandboxServer) -> None:
        self.sandbox_url = sandbox.url

    def decide(self, gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
        sends_evidence(gateway, dispute, won=won)

    def fail_refund(self, gateway: Gateway, refund: GatewayRefund) -> None:
        wish = {"refund": refund.id, "status": "failed"}
        requests.post(f"{self.sandbox_url}/sandbox/refunds", json=wish, timeout=10)


class TestExampleInMemory(GatewayContract):
    @pytest.fixture
    def gateway(self) -> ExampleGateway:
        return ExampleGateway()


@pytest.mark.skipif(TEST_KEY not in os.environ, reason=f"{TEST_KEY} is not set")
class TestStripeAdapterAgainstStripe(GatewayContract):
    currencies = ("EUR", "JPY", "ISK", "MGA", "HUF")
    disputed_by_its_bank = "pm_card_createDispute"
    asked_about_by_its_bank = "pm_card_createDisputeInquiry"

    def decide(self, gateway: Gateway, dispute: GatewayDispute, *, won: bool) -> None:
        sends_evidence(gateway, dispute, won=won)

    @pytest.fixture
    def gateway(self) -> StripeGateway:
        return StripeGateway(secret_key=os.environ[TEST_KEY])
