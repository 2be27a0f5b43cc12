import pytest
from django.utils import timezone

from payments.gateways.example.client import ExampleGateway
from tests.support.books_that_differ import OLD


@pytest.fixture
def gateway() -> ExampleGateway:
    """Opens everything two hours ago, so that nothing of it is on its way any more."""
    return ExampleGateway(clock=lambda: timezone.now() - OLD)
