"""What settling one order says to Postgres, said by a program that does nothing else.

The statements come from the server's log of a real worker, in a file; see
tests/tools/bench/settle_sql.
"""

import json
import re
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

VARIABLE = re.compile(r"(?<!:):([a-z_]+)\b")


class SameSettling:
    """One connection, on which psycopg prepares what it has seen five times."""

    def __init__(self, url: str, file: Path) -> None:
        self._connection = psycopg.connect(url, autocommit=True, row_factory=dict_row)
        self._statements = [
            (VARIABLE.sub(r"%(\1)s", sql.replace("%", "%%")).encode(), prefix)
            for sql, prefix in json.loads(file.read_text())
        ]

    def settle(self, number: str) -> None:
        n = int(number.partition("-")[0])  # counts the orders
        values: dict[str, Any] = {"n": n, "number": number}
        for sql, prefix in self._statements:
            said = self._connection.execute(sql, values)
            if prefix:
                row = said.fetchone()
                assert row, (number, sql)
                values |= {f"{prefix}{column}": value for column, value in row.items()}
