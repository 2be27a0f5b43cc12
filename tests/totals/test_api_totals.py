"""A program's customer pays the total that the program showed, or the program is told another.

Between quote and order staff change prices, rates, deliveries and codes, and the customer changes
country, region, method and code, all at random.
"""

import random
from collections import Counter

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from tests.support.api_caller import new_caller
from tests.support.long import long
from tests.totals.program import Program
from tests.totals.sequences import (
    PARTS,
    SEQUENCES,
    assert_every_part_was_among_them,
    what_it_had,
)
from tests.totals.staff import Staff
from tests.totals.sums import assert_total_is_its_parts

pytestmark = pytest.mark.django_db(transaction=True)


def happens(seed: int, sequences: int, settings: Settings) -> Counter[str]:
    """So many quotes, each followed by changes and an order. What came of them is counted."""
    chance = random.Random(seed)
    staff = Staff(chance, settings, timezone.now().date())
    staff.open_shop()
    program = Program(new_caller(), chance)
    seen: Counter[str] = Counter()
    for number in range(sequences):
        if not program.ask():
            seen["not quoted"] += 1
            staff.something()  # else a shop that delivers nowhere would stay so
            continue
        changes = [staff.something() for _ in range(chance.choice([0, 0, 1, 1, 2, 4]))]
        if chance.random() < 0.4:
            program.change_mind()

        order = program.order()

        if order is None:
            seen["asked again"] += 1
            continue
        told = f"seed {seed}, sequence {number}: {changes}, {program.purchase}"
        assert order.total_minor == program.expected_minor, told
        assert_total_is_its_parts(order)
        seen.update(what_it_had(order))
    print(dict(seen))
    return seen


@pytest.mark.timeout(300)  # for a busy machine; alone it takes some seconds
def test_no_order_has_another_total_than_was_expected(settings: Settings) -> None:
    assert_every_part_was_among_them(happens(18, 60, settings))


@long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(PARTS))
def test_thousands_of_times(settings: Settings, seed: int) -> None:
    seen = happens(seed, SEQUENCES // PARTS, settings)

    assert seen["ordered"] > SEQUENCES / PARTS / 10
