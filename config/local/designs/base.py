"""The orders of the designs: one table, and what all of them do with it."""

import os
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg.rows import class_row

# A production server of two processes with eight threads each has as many at a time.
CONNECTIONS = threading.BoundedSemaphore(16)

TABLE = """
    CREATE TABLE IF NOT EXISTS design_order (
        id serial PRIMARY KEY,
        design text NOT NULL,
        purchase text NOT NULL,
        amount_minor int NOT NULL,
        currency text NOT NULL,
        payment_method text NOT NULL,
        status text NOT NULL DEFAULT 'pending',
        created_at timestamptz NOT NULL DEFAULT now()
    )
"""

ORDER = "design || '-' || id AS number, purchase, amount_minor, currency, payment_method, status"


@dataclass(frozen=True, kw_only=True)
class DesignOrder:
    number: str  # for instance old-17
    purchase: str
    amount_minor: int
    currency: str
    payment_method: str
    status: str  # pending, paid or failed


def prepare(database_url: str) -> None:
    with psycopg.connect(database_url) as connection:
        connection.execute(TABLE)


def orders(database_url: str) -> list[DesignOrder]:
    with psycopg.connect(database_url, row_factory=class_row(DesignOrder)) as connection:
        return connection.execute(f"SELECT {ORDER} FROM design_order ORDER BY id").fetchall()


@contextmanager
def database() -> Iterator[psycopg.Connection[DesignOrder]]:
    """A connection for one statement, so that none is held while the gateway is called."""
    url = os.environ["DATABASE_URL"]
    with (
        CONNECTIONS,
        psycopg.connect(
            url, autocommit=True, connect_timeout=5, row_factory=class_row(DesignOrder)
        ) as connection,
    ):
        yield connection


def store_order(design: str, form: Mapping[str, str]) -> DesignOrder:
    columns = "design, purchase, amount_minor, currency, payment_method"
    query = f"INSERT INTO design_order ({columns}) VALUES (%s, %s, %s, %s, %s) RETURNING {ORDER}"
    currency = form.get("currency", "EUR")
    values = (design, form["purchase"], int(form["amount"]), currency, form["payment_method"])
    with database() as connection:
        [order] = connection.execute(query, values).fetchall()
    return order


def find_order(number: str) -> DesignOrder | None:
    query = f"SELECT {ORDER} FROM design_order WHERE id = %s AND design = %s"
    design, _, id_ = number.rpartition("-")
    if not id_.isdecimal():
        return None
    with database() as connection:
        return connection.execute(query, (int(id_), design)).fetchone()


def store_status(order: DesignOrder, status: str) -> None:
    _, _, id_ = order.number.rpartition("-")
    with database() as connection:
        connection.execute("UPDATE design_order SET status = %s WHERE id = %s", (status, int(id_)))
