"""The statements that a test makes the shop send to the database."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def statements(pattern: str) -> Iterator[list[str]]:
    """Those that match, in their order, until the block ends."""
    found: list[str] = []

    def watch(
        execute: Callable[..., Any], sql: str, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        if re.search(pattern, str(sql)):
            found.append(str(sql))
        return execute(sql, params, many, context)

    with connection.execute_wrapper(watch):
        yield found


# A lock changes nothing.
WRITES = r"^(?!(?s:.*)FOR UPDATE)(?s:.*)\b(INSERT|UPDATE|DELETE)\b"
