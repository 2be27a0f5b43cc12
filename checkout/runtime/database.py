"""What it means that the database did not do what it was asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.db import DatabaseError, InterfaceError, InternalError, OperationalError, connection

# The connection broke, the server restarts or is read-only, or something was waited for too long.
# On a fresh connection, and in a moment, the same may work.
CONNECTION_ERRORS = (OperationalError, InterfaceError, InternalError)

# All that a statement can raise: Django's InterfaceError is no DatabaseError.
DATABASE_ERRORS = (DatabaseError, InterfaceError)

# PostgreSQL docs, Appendix A. 08: connection exception. 57P: the server ends sessions, or starts.
# 25006: the server takes no writes, as after a failover that left a connection with the old one.
# 25P03 and 25P04: the server ended the session of a transaction that took too long.
LOST = ("08", "57P", "25006", "25P03", "25P04")

_is_patient: ContextVar[bool] = ContextVar("is_patient", default=True)


@contextmanager
def impatiently() -> Iterator[None]:
    """Fail at once when the database is away, for a caller that wants to know just that."""
    before = _is_patient.set(False)
    try:
        yield
    finally:
        _is_patient.reset(before)


def is_patient() -> bool:
    """Whether a new connection may wait for a database that restarts."""
    return _is_patient.get()


def is_lost_connection(error: BaseException) -> bool:
    """Whether it was the connection, so that the same may work at once over a new one. Waiting for
    a lock in vain, or a full disk, is not that."""
    if isinstance(error, InterfaceError):
        return True
    if not isinstance(error, CONNECTION_ERRORS):
        return False
    state = getattr(error.__cause__, "sqlstate", None)
    return state.startswith(LOST) if state else isinstance(error, OperationalError)


def is_database_away(error: BaseException | None) -> bool:
    """Whether the database is away, takes no writes, or has no room left on its disk."""
    return isinstance(error, (OperationalError, InterfaceError)) or (
        error is not None and is_lost_connection(error)
    )


def lift_time_limit() -> None:
    """Let statements that count through a long history take their time in this transaction."""
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = 0")
