"""The time, as the database has it: what one process stamps, another judges, maybe on another host.

Each new connection asks the database for its time, once; in between, this process counts on by a
clock that nobody sets. So a host whose own clock is wrong stamps and judges like all others.
"""

import time
from contextlib import suppress
from datetime import UTC, datetime

from django.db import DatabaseError, connection

# Goes on while a machine sleeps, where the system has such a clock.
_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

_ahead: float | None = None  # how far the database's clock is ahead of the steady one


def database_now() -> datetime:
    """The time by the database's clock, as exact as its last answer was quick. While the database
    has never been reached, this host's clock is read: nothing can be stamped then."""
    return _read()


def _read() -> datetime:
    if _ahead is None:
        with suppress(DatabaseError):
            connection.ensure_connection()  # which learns the time
    return datetime.fromtimestamp(steady() + _guess(), tz=UTC)


def steady() -> float:
    return time.clock_gettime(_STEADY)


def learn(answer: float, *, asked_at: float, answered_at: float) -> None:
    """Take over the database's time, in seconds of the epoch, which was asked for and answered at
    these readings of our clock. What was known before is kept as far as it agrees: a slow answer
    makes nothing less exact."""
    global _ahead
    _ahead = min(max(_guess(), answer - answered_at), answer - asked_at)


def _guess() -> float:
    return time.time() - steady() if _ahead is None else _ahead
