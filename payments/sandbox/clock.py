from collections.abc import Callable
from datetime import UTC, datetime, timedelta

Clock = Callable[[], datetime]


def utc_now() -> datetime:
    return datetime.now(UTC)


class MovableClock:
    """Tells the time of another clock, plus what a test has moved it by."""

    def __init__(self, base: Clock = utc_now) -> None:
        self._base = base
        self._ahead = timedelta(0)

    def __call__(self) -> datetime:
        return self._base() + self._ahead

    def advance(self, seconds: float) -> None:
        self._ahead += timedelta(seconds=seconds)
