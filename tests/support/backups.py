"""A backup of the whole database, and its restore: all rows and all sequences go back to a moment,
as they do where Postgres is restored, while gateway and queue stay as they are."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from checkout.orders import pausing
from checkout.orders.identity.installation import forget_installation

Takes = Callable[[], "Backup"]

# What belongs to the code and not to the shop's life.
KEPT = {"django_migrations", "django_content_type"}


@dataclass
class Backup:
    """All tables, copied into a schema of their own."""

    taken_at: datetime = field(default_factory=timezone.now)
    schema: str = field(default_factory=lambda: f"backup_{secrets.token_hex(4)}")
    sequences: dict[str, tuple[int, bool]] = field(default_factory=dict)

    @classmethod
    def take(cls) -> Self:
        backup = cls()
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {backup.schema}")
            for table in _tables(cursor):
                cursor.execute(f'CREATE TABLE {backup.schema}."{table}" AS TABLE public."{table}"')
            for sequence in _sequences(cursor):
                cursor.execute(f'SELECT last_value, is_called FROM public."{sequence}"')
                backup.sequences[sequence] = cursor.fetchone()
        return backup

    def restore(self) -> None:
        with _without_triggers() as cursor:
            tables = _tables(cursor)
            names = ", ".join(f'public."{table}"' for table in tables)
            cursor.execute(f"TRUNCATE {names} CASCADE")
            for table in tables:
                cursor.execute(f'INSERT INTO public."{table}" TABLE {self.schema}."{table}"')
            for sequence, (value, is_called) in self.sequences.items():
                cursor.execute("SELECT setval(%s, %s, %s)", [sequence, value, is_called])
        pausing.forget_what_was_seen()
        forget_installation()

    def drop(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {self.schema} CASCADE")


@contextmanager
def _without_triggers() -> Iterator[CursorWrapper]:
    """Rows go back in any order, and nothing that looks at changes of rows is asked."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        try:
            yield cursor
        finally:
            cursor.execute("SET session_replication_role = DEFAULT")


def _tables(cursor: CursorWrapper) -> list[str]:
    cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
    return [name for (name,) in cursor.fetchall() if name not in KEPT]


def _sequences(cursor: CursorWrapper) -> list[str]:
    cursor.execute("SELECT sequencename FROM pg_sequences WHERE schemaname = 'public'")
    return [name for (name,) in cursor.fetchall()]
