"""How long to wait before the next try of something that should soon work again."""

import time
from collections.abc import Iterator


def pauses(*, first: float, longest: float, within: float, at_least: int = 1) -> Iterator[float]:
    """Seconds to wait after each try that failed, doubling up to `longest`. They end when `within`
    seconds have passed since the first try, and `at_least` so many were made. The caller waits."""
    until = time.monotonic() + within
    pause, tries = first, 0
    while (left := until - time.monotonic()) > 0 or tries < at_least:
        yield min(pause, max(left, 0.0))
        pause, tries = min(pause * 2, longest), tries + 1
