"""How a process takes in hand what is due, so that a backlog costs a claim no more than none."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction

# PostgreSQL docs, "Planner Method Configuration". Until the end of the transaction.
BY_INDEX = """
    SELECT set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true)
"""


@contextmanager
def claiming() -> Iterator[None]:
    """A transaction in which Postgres reads what is due by the index that has it in its order, and
    stops when it has enough.

    Left alone it believes its statistics. They are of a table whose rows are nearly all done, so to
    them a backlog is a handful of rows: it would read and sort the whole of it for each claim.
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(BY_INDEX)
        yield
