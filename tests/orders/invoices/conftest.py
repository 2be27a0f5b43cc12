import pytest
from pytest_django.fixtures import Settings

from tests.support.sellers import SELLER


@pytest.fixture(autouse=True)
def _sells(settings: Settings) -> None:
    settings.SELLER = SELLER
