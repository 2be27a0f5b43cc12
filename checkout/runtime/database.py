"""What it means that the database did not do what it was asked, and rows for statements that are
written by hand."""

import json
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any, TypeVar

from django.db import (
    DEFAULT_DB_ALIAS,
    DatabaseError,
    InterfaceError,
    InternalError,
    OperationalError,
    connection,
)
from django.db.models import Field, JSONField, Model
from psycopg.types.json import Jsonb

# The connection broke, the server restarts or is read-only, or something was waited for too long.
# On a fresh connection, and in a moment, the same may work.
CONNECTION_ERRORS = (OperationalError, InterfaceError, InternalError)

# All that a statement can raise: Django's InterfaceError is no DatabaseError.
DATABASE_ERRORS = (DatabaseError, InterfaceError)

# PostgreSQL docs, Appendix A. 08: connection exception. 57P: the server ends sessions, or starts.
# 25006: the server takes no writes, as after a failover that left a connection with the old one.
# 25P03 and 25P04: the server ended the session of a transaction that took too long.
LOST = ("08", "57P", "25006", "25P03", "25P04")

Row = TypeVar("Row", bound=Model)

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


# --- Rows for statements that are written by hand -------------------------------------------------


@cache
def insertion(model: type[Model], given: frozenset[str]) -> tuple[str, str]:
    """The columns of an INSERT of all fields of a model, so that none is forgotten, and their
    values as named parameters. What is `given` is set by the statement or by the database."""
    fields = _fields(model, given)
    columns = ", ".join(field.column or "" for field in fields)
    return columns, ", ".join(f"%({field.attname})s" for field in fields)


def values_of(row: Model, given: Set[str]) -> dict[str, Any]:
    """The parameters of `insertion`."""
    fields = _fields(type(row), frozenset(given))
    return {field.attname: _value(row, field) for field in fields}


@cache
def columns_of(model: type[Model], table: str) -> str:
    """The columns of a SELECT of all fields of a model."""
    return ", ".join(f"{table}.{field.column}" for field in _fields(model, frozenset()))


def row_of(model: type[Row], values: Sequence[Any]) -> Row:
    """What `columns_of` selected. JSON columns come as text where Django's own queries would have
    read them."""
    fields = _fields(model, frozenset())
    read = [
        json.loads(value) if isinstance(field, JSONField) and value is not None else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(DEFAULT_DB_ALIAS, [field.attname for field in fields], read)


@cache
def _fields(model: type[Model], given: frozenset[str]) -> "list[Field[Any, Any]]":
    return [field for field in model._meta.concrete_fields if field.name not in given]


def _value(row: Model, field: "Field[Any, Any]") -> object:
    value = getattr(row, field.attname)
    is_json = isinstance(field, JSONField) and value is not None
    return Jsonb(value) if is_json else value
