"""Moves the time by which the shop stamps and judges; Django's own goes with it."""

from collections.abc import Callable
from datetime import datetime

import pytest


def move_time(monkeypatch: pytest.MonkeyPatch, to: datetime | Callable[[], datetime]) -> None:
    """To a moment at which it stands, or to a clock. The database's own clock goes on."""

    def read() -> datetime:
        return to() if callable(to) else to

    monkeypatch.setattr("checkout.runtime.clock._read", read)
    monkeypatch.setattr("django.utils.timezone.now", read)
