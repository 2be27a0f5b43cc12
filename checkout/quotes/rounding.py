"""How parts of an amount are rounded so that every sum comes out to the last unit."""

from collections.abc import Sequence
from fractions import Fraction
from math import floor


def half_up(amount: Fraction) -> int:
    """The nearest whole unit, and the larger one from the middle between two. Never negative."""
    return floor(amount + Fraction(1, 2))


def spread(amount: int, weights: Sequence[int]) -> list[int]:
    """Divide an amount in proportion to weights, by the largest remainder: each share is rounded
    down, and the units that are left go to the largest remainders, the first of equals first.

    Where all weights are 0 every share is 0. No share exceeds its weight while the amount does not
    exceed their sum.
    """
    whole = sum(weights)
    if not whole:
        return [0 for _ in weights]
    shares = [amount * weight // whole for weight in weights]
    by_remainder = sorted(range(len(weights)), key=lambda n: (-(amount * weights[n] % whole), n))
    for n in by_remainder[: amount - sum(shares)]:
        shares[n] += 1
    return shares
