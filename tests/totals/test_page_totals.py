"""The shopper pays the total of the page that they submitted, or is asked again.

Between page and press staff change prices, rates, deliveries and codes, and the shopper changes
country, region, method and code, all at random.
"""

import random
from collections import Counter

import pytest
from django.template import Template
from django.test.utils import _TestState
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.forms import CheckoutForm
from checkout.views.checkout_page import CheckoutPage
from tests.support.long import long
from tests.totals.buyer import Buyer
from tests.totals.sequences import (
    PARTS,
    SEQUENCES,
    assert_every_part_was_among_them,
    what_it_had,
)
from tests.totals.staff import COUNTRIES, Staff
from tests.totals.sums import assert_total_is_its_parts

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _less_to_render(monkeypatch: pytest.MonkeyPatch) -> None:
    """A third of the time went into the options of 250 countries, and into the copies of contexts
    that Django's tests keep."""
    country = CheckoutForm.base_fields["country"]
    monkeypatch.setattr(country, "choices", [(each, each) for each in COUNTRIES])
    render = _TestState.saved_data.template_render  # type: ignore[attr-defined] # of a test run
    monkeypatch.setattr(Template, "_render", render)


def happens(seed: int, sequences: int, settings: Settings) -> Counter[str]:
    """So many pages, each followed by changes and a press. What came of them is counted."""
    chance = random.Random(seed)
    staff = Staff(chance, settings, timezone.now().date())
    staff.open_shop()
    buyer = Buyer(chance)
    seen: Counter[str] = Counter()
    for number in range(sequences):
        shown = buyer.open_page().total_minor
        changes = [staff.something() for _ in range(chance.choice([0, 0, 1, 1, 2, 4]))]
        if chance.random() < 0.5:
            buyer.change_mind()

        submitted, order = buyer.press()

        if order is None:
            seen["asked again"] += 1
            continue
        told = f"seed {seed}, sequence {number}: {changes}, {buyer.form}"
        assert order.total_minor == shown == submitted.total_minor, told
        assert_total_is_its_parts(order)
        seen.update(what_it_had(order))
        if chance.random() < 0.1:
            staff.something()
            buyer.press_again(submitted, order)
    print(dict(seen), dict(buyer.refused))
    return seen


@pytest.mark.timeout(300)  # for a busy machine; alone it takes some seconds
def test_no_order_has_another_total_than_its_page(settings: Settings) -> None:
    seen = happens(18, 60, settings)

    assert_every_part_was_among_them(seen)


@pytest.fixture
def _parts_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """A press that is refused is answered with the part of the page that its script would take over
    from it: token, total, methods and code, without the address and all around it."""
    words = (CheckoutPage.show.__kwdefaults__ or {}) | {"template": "checkout/total.html"}
    monkeypatch.setattr(CheckoutPage.show, "__kwdefaults__", words)


@long
@pytest.mark.usefixtures("_parts_of_pages")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(PARTS))
def test_thousands_of_times(settings: Settings, seed: int) -> None:
    seen = happens(seed, SEQUENCES // PARTS, settings)

    assert seen["ordered"] > SEQUENCES / PARTS / 10
