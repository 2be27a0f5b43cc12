"""All rows and sequences of a database, copied into a schema beside them, and put back. Works with
the cursors of Django and of psycopg."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

# What belongs to the code and not to the shop's life.
KEPT = {"django_migrations", "django_content_type"}

Sequences = dict[str, tuple[int, bool]]


class Cursor(Protocol):
    def execute(self, query: Any, params: Any = None, /) -> Any: ...
    def fetchall(self) -> list[Any]: ...


def copy_rows(cursor: Cursor, schema: str) -> Sequences:
    """In a transaction of REPEATABLE READ the copy is of one moment, whatever else goes on."""
    cursor.execute(f"CREATE SCHEMA {schema}")
    for table in _tables(cursor):
        cursor.execute(f'CREATE TABLE {schema}."{table}" AS TABLE public."{table}"')
    cursor.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
    sequences: Sequences = {}
    for (name,) in cursor.fetchall():
        cursor.execute(f'SELECT last_value, is_called FROM public."{name}"')
        [sequences[name]] = cursor.fetchall()
    return sequences


def put_back(cursor: Cursor, schema: str, sequences: Sequences) -> None:
    with _without_triggers(cursor):
        tables = _tables(cursor)
        names = ", ".join(f'public."{table}"' for table in tables)
        cursor.execute(f"TRUNCATE {names} CASCADE")
        for table in tables:
            cursor.execute(f'INSERT INTO public."{table}" TABLE {schema}."{table}"')
        for name, (value, is_called) in sequences.items():
            cursor.execute("SELECT setval(%s, %s, %s)", [name, value, is_called])


@contextmanager
def _without_triggers(cursor: Cursor) -> Iterator[None]:
    """Rows go back in any order, and nothing that looks at changes of rows is asked."""
    cursor.execute("SET session_replication_role = replica")
    try:
        yield
    finally:
        cursor.execute("SET session_replication_role = DEFAULT")


def _tables(cursor: Cursor) -> list[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [name for (name,) in cursor.fetchall() if name not in KEPT]
