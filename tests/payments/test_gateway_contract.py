import os

import pytest

from payments.gateways.example import ExampleGateway
from payments.gateways.stripe import StripeGateway
from tests.payments.gateway_contract import GatewayContract

TEST_KEY = "STRIPE_TEST_SECRET_KEY"


class TestStripeAdapterAgainstTheSandbox(GatewayContract):
    """`gateway` is the fixture of tests/conftest.py."""

    currencies = ("EUR", "JPY", "ISK", "UGX", "MGA", "KWD", "HUF")


class TestExampleInMemory(GatewayContract):
    @pytest.fixture
    def gateway(self) -> ExampleGateway:
        return ExampleGateway()


@pytest.mark.skipif(TEST_KEY not in os.environ, reason=f"{TEST_KEY} is not set")
class TestStripeAdapterAgainstStripe(GatewayContract):
    currencies = ("EUR", "JPY", "ISK", "MGA", "HUF")

    @pytest.fixture
    def gateway(self) -> StripeGateway:
        return StripeGateway(secret_key=os.environ[TEST_KEY])
