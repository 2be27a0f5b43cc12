import pytest
from pytest_django.fixtures import Settings

from checkout.orders.limits.rates import read_rates


@pytest.fixture(autouse=True)
def _no_limits(settings: Settings) -> None:
    """One customer presses as often as thousands do, and may pay a cent."""
    settings.LIMIT_PLACING = settings.LIMIT_API = settings.LIMIT_CODES = read_rates("")
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {"unlimited": "tests.support.unlimited"}
