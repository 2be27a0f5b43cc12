"""What `make test` leaves to `make test-long`.

`make test` shows every behaviour once. Marked `long`, and all that `make test-long` runs, is what
repeats one of its tests with other seeds, at other places, in another language, on a screen of
another size, on another queue, many times more or with all the shop's processes at once, and what
tests a tool instead of the shop. pytest alone runs
both.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from _pytest.mark import ParameterSet

long = pytest.mark.long


def at_length(*cases: Any) -> "list[ParameterSet]":
    """These cases of `parametrize` are for `make test-long`."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), marks=long) for case in cases
    ]


def all_or(some: Sequence[str], cases: Sequence[str]) -> "list[ParameterSet]":
    """All of the cases, of which `make test` runs some."""
    assert set(some) <= set(cases), set(some) - set(cases)
    return [pytest.param(case, marks=[] if case in some else [long]) for case in cases]
