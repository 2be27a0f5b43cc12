"""A backup of the whole database, and its restore: all rows and all sequences go back to a moment,
as they do where Postgres is restored, while gateway and queue stay as they are."""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from django.db import connection
from django.utils import timezone

from checkout.orders import pausing
from checkout.orders.identity.installation import forget_installation
from tests.support.copied_rows import Sequences, copy_rows, put_back

Takes = Callable[[], "Backup"]


@dataclass
class Backup:
    taken_at: datetime = field(default_factory=timezone.now)
    schema: str = field(default_factory=lambda: f"backup_{secrets.token_hex(4)}")
    sequences: Sequences = field(default_factory=dict)

    @classmethod
    def take(cls) -> Self:
        backup = cls()
        with connection.cursor() as cursor:
            backup.sequences = copy_rows(cursor, backup.schema)
        return backup

    def restore(self) -> None:
        with connection.cursor() as cursor:
            put_back(cursor, self.schema, self.sequences)
        pausing.forget_what_was_seen()
        forget_installation()

    def drop(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"DROP SCHEMA {self.schema} CASCADE")
