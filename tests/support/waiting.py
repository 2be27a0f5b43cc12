"""Whether a session of this test's database waits for what another has locked, and for how long."""

import psycopg
from django.db import connection

from tests.support.processes import database_url, eventually

WAITERS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""

LONG_WAIT = "SET lock_timeout = '60s'; SET statement_timeout = '60s'"


def wait_long_for_locks() -> None:
    """This thread's connection waits for longer than the shop's do: on a slow machine whoever has
    the lock may take so long."""
    with connection.cursor() as cursor:
        cursor.execute(LONG_WAIT)


def until_somebody_waits(what: str = "the wait for a lock") -> None:
    # A session of its own: what one transaction sees of the others stays as it was at first.
    with psycopg.connect(database_url(), autocommit=True) as looking:
        eventually(lambda: looking.execute(WAITERS).fetchall() != [(0,)], what=what)
