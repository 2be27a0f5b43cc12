"""How long to wait before the next try of something that should soon work again."""

import time
from collections.abc import Iterator


def pauses(*, first: float, longest: float, within: float) -> Iterator[float]:
    """Seconds to wait before each further try, doubling up to `longest`, until `within` seconds
    have passed since the first was asked for. The caller does the waiting."""
    until = time.monotonic() + within
    pause = first
    while (left := until - time.monotonic()) > 0:
        yield min(pause, left)
        pause = min(pause * 2, longest)
