"""How long to wait before the next try of something that should soon work again."""

import random
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import TypeVar

Pause = TypeVar("Pause", float, timedelta)

MOST_DOUBLINGS = 20  # past every longest pause; more would only make a large number


def backoff(
    failures: int, *, first: Pause, longest: Pause, growth: float = 2, jitter: float = 0
) -> Pause:
    """The pause after so many failures in a row: `first`, then `growth` times as long each time, up
    to `longest`."""
    grown = first * growth ** min(max(failures - 1, 0), MOST_DOUBLINGS)
    return shortened(min(grown, longest), jitter)


def shortened(pause: Pause, jitter: float) -> Pause:
    """The pause without up to so much of it, so that what failed together does not come back
    together. 0.25 leaves three quarters of it at least."""
    return pause * random.uniform(1 - jitter, 1)  # noqa: S311 - no secret


def pauses(
    *, first: float, longest: float, within: float, growth: float = 2, at_least: int = 1
) -> Iterator[float]:
    """Seconds to wait after each try that failed. They end when `within` seconds have passed since
    the first try, and `at_least` so many were made. The caller waits."""
    until = time.monotonic() + within
    failures = 0
    while (left := until - time.monotonic()) > 0 or failures < at_least:
        failures += 1
        yield min(backoff(failures, first=first, longest=longest, growth=growth), max(left, 0.0))
