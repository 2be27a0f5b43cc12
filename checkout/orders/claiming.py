"""How a process takes in hand what is due, so that a backlog costs a claim no more than none."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def claiming() -> Iterator[None]:
    """A transaction in which Postgres reads what is due by the index that has it in its order, and
    stops when it has enough.

    Left alone it believes its statistics, to which a backlog after an outage is a handful of rows:
    it may read and sort the whole of it for each claim (PostgreSQL docs, "Planner Method
    Configuration": `enable_sort`).
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
        yield
