import pytest

from checkout.catalogue.models import Product
from tests.conftest import fill_shelf
from tests.support.api_caller import Caller, new_caller


@pytest.fixture
def shelf(db: None) -> list[Product]:
    """Taken back with the test's transaction, which is quick. A test with more than one connection
    is marked `django_db(transaction=True)`."""
    return fill_shelf()


@pytest.fixture
def caller(shelf: list[Product]) -> Caller:
    return new_caller()


@pytest.fixture
def another_caller(shelf: list[Product]) -> Caller:
    return new_caller()
