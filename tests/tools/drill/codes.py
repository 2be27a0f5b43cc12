"""Discount codes with few uses, looked at from outside while everything goes wrong."""

import threading
from collections import defaultdict
from typing import Any

import psycopg

LOOK_SECONDS = 0.1

# One statement, so that all of it is of one moment.
LOOK = """
    SELECT code, "limit", used, (
        SELECT count(*) FROM orders_order
        WHERE discount_code = c.code AND status <> 'cancelled'
    ) FROM catalogue_discountcode c WHERE "limit" IS NOT NULL ORDER BY code
"""


class Codes(threading.Thread):
    def __init__(self, database: str) -> None:
        super().__init__(name="codes", daemon=True)
        self.seen: list[tuple[str, int, int, int]] = []  # code, limit, counted, live orders
        self._database = database
        self._is_over = threading.Event()

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def look(self, connection: "psycopg.Connection[Any]") -> None:
        self.seen += connection.execute(LOOK).fetchall()

    def most(self) -> dict[str, tuple[int, int]]:
        """The most live orders that each code had at once, and its limit."""
        most: dict[str, tuple[int, int]] = defaultdict(lambda: (0, 0))
        for code, limit, _, live in self.seen:
            most[code] = max(most[code], (live, limit))
        return dict(most)

    def run(self) -> None:
        while not self._is_over.wait(LOOK_SECONDS):
            try:
                with psycopg.connect(self._database, autocommit=True) as connection:
                    while not self._is_over.wait(LOOK_SECONDS):
                        self.look(connection)
            except psycopg.OperationalError:
                continue  # Postgres is being stopped or killed
