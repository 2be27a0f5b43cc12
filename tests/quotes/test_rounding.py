"""Parts of an amount add up to it, and each is as near to its exact share as whole units can be."""

from fractions import Fraction
from math import ceil, floor

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from checkout.quotes.rounding import half_up, spread

WEIGHTS = st.lists(st.one_of(st.integers(0, 20), st.integers(0, 10**15)), max_size=8)
FRACTIONS = st.fractions(min_value=0, max_value=10**15)


@given(FRACTIONS)
def test_half_up_is_the_nearest_and_the_larger_one_of_two(amount: Fraction) -> None:
    assert Fraction(-1, 2) < half_up(amount) - amount <= Fraction(1, 2)


@pytest.mark.parametrize(
    ("amount", "rounded"),
    [("0", 0), ("0.5", 1), ("1.5", 2), ("2.5", 3), ("0.499999999999999999999", 0), ("7", 7)],
)
def test_half_up_of_known_numbers(amount: str, rounded: int) -> None:
    assert half_up(Fraction(amount)) == rounded


@given(st.integers(0, 10**15), WEIGHTS)
def test_shares_add_up_and_are_the_exact_ones_rounded(amount: int, weights: list[int]) -> None:
    shares = spread(amount, weights)

    whole = sum(weights)
    exact = [Fraction(amount * weight, whole) if whole else Fraction(0) for weight in weights]
    assert sum(shares) == (amount if whole else 0)
    for share, each in zip(shares, exact, strict=True):
        assert floor(each) <= share <= ceil(each)


@given(st.integers(0, 10**15), WEIGHTS)
def test_unit_that_is_left_goes_to_the_largest_remainder(amount: int, weights: list[int]) -> None:
    shares = spread(amount, weights)

    whole = sum(weights) or 1
    remainders = [(-(amount * weight % whole), n) for n, weight in enumerate(weights)]
    rounded_up = {n for n, share in enumerate(shares) if share > amount * weights[n] // whole}
    assert rounded_up == {n for _, n in sorted(remainders)[: len(rounded_up)]}


@given(st.data(), WEIGHTS)
def test_no_share_exceeds_what_it_is_taken_from(data: st.DataObject, weights: list[int]) -> None:
    amount = data.draw(st.integers(0, sum(weights)))

    shares = spread(amount, weights)

    assert all(share <= weight for share, weight in zip(shares, weights, strict=True))


@given(st.integers(0, 10**6), WEIGHTS)
@example(901, [15, 19])  # 397.5 and 503.5
def test_only_equal_remainders_make_the_order_matter(amount: int, weights: list[int]) -> None:
    """Of equal remainders the first is rounded up, so `quote` orders lines by product before."""
    whole = sum(weights) or 1
    remainders = {weight: amount * weight % whole for weight in weights}
    if len(set(remainders.values())) < len(remainders):
        assert sum(spread(amount, weights)) == sum(spread(amount, weights[::-1]))
        return
    assert sorted(spread(amount, weights)) == sorted(spread(amount, weights[::-1]))


# The census of 1790, and the seats in a House of sixty, as electowiki's “Hamilton method” works
# them out by largest remainder.
HOUSE_OF_SIXTY = {
    "Virginia": (630_560, 11),
    "Massachusetts": (475_327, 8),
    "Pennsylvania": (432_879, 7),
    "North Carolina": (353_523, 6),
    "New York": (331_589, 6),
    "Maryland": (278_514, 5),
    "Connecticut": (236_841, 4),
    "South Carolina": (206_236, 3),
    "New Jersey": (179_570, 3),
    "New Hampshire": (141_822, 2),
    "Vermont": (85_533, 1),
    "Georgia": (70_835, 1),
    "Kentucky": (68_705, 1),
    "Rhode Island": (68_446, 1),
    "Delaware": (55_540, 1),
}


def test_house_of_representatives_of_1790_is_spread_as_hamilton_did() -> None:
    people = [inhabitants for inhabitants, _ in HOUSE_OF_SIXTY.values()]

    assert spread(60, people) == [seats for _, seats in HOUSE_OF_SIXTY.values()]
