"""The resubmission table is gone through with all fields filled; and by `make test-long` with those
of before there were delivery and codes as well."""

import pytest

from checkout.catalogue.models import Product
from tests.support.long import at_length
from tests.support.rules import delivery_method, discount_code, tax_rate
from tests.support.shopper import TYPED

# What a code takes off and delivery adds come to the same, so the totals that tests name hold.
DELIVERY_MINOR = 100


@pytest.fixture(autouse=True, params=["all fields", *at_length("few fields")])
def filled(
    request: pytest.FixtureRequest, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    if request.param == "few fields":
        return
    for country, percent in [("DE", "19"), (TYPED["country"], "23")]:
        tax_rate(country, percent)
    delivery_method("Parcel", {"": 5 * DELIVERY_MINOR}, position=1)
    chosen = delivery_method("Express", {"": DELIVERY_MINOR}, position=2)
    discount_code("ONE-OFF", kind="amount", amount_minor=DELIVERY_MINOR)
    more = {
        "address2": "Second floor",
        "company": "Quillfeather & Daughters",
        "phone": "+353 21 000 0000",
        "delivery_method": str(chosen.pk),
        "code": "one-off",
    }
    for name, value in more.items():
        monkeypatch.setitem(TYPED, name, value)
