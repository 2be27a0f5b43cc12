"""Moves the time by which the shop stamps and judges; Django's own goes with it."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

# Requests are counted in stretches of minutes, hours or days. None of them begins or ends here.
NOON = datetime(2026, 3, 2, 12, 3, tzinfo=UTC)


def move_time(monkeypatch: pytest.MonkeyPatch, to: datetime | Callable[[], datetime]) -> None:
    """To a moment at which it stands, or to a clock. The database's own clock goes on."""

    def read() -> datetime:
        return to() if callable(to) else to

    monkeypatch.setattr("checkout.runtime.clock._read", read)
    monkeypatch.setattr("django.utils.timezone.now", read)
