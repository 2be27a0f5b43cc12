"""Postgres and the standby that follows it: the first is killed, and the second takes its address.

With a synchronous standby a COMMIT is answered when the standby has it on its disk. An asynchronous
one, which is the control of this fault, lacks what was committed in the last second (PostgreSQL
docs, "Log-Shipping Standby Servers", "Synchronous Replication").
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from time import sleep

import psycopg
from psycopg import sql

from config.local.postgres import EmbeddedPostgres
from config.local.processes import CannotStart, wait_until

SYNCHRONOUS, ASYNCHRONOUS = "synchronous", "asynchronous"

# What an asynchronous standby lacks.
BEHIND_SECONDS = 1.0

ATTACH_SECONDS = 30

STREAMS = "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming'"
FOLLOWERS = "SELECT count(*) FROM pg_stat_replication"


class Cluster:
    """The server in use, and the one that follows it."""

    def __init__(self, postgres: EmbeddedPostgres, folder: Path, kind: str) -> None:
        self.postgres = postgres
        self.standby: EmbeddedPostgres | None = None
        self._folder = folder
        self._kind = kind
        self._made = 0

    def attach(self) -> None:
        """Give the server in use a standby. Commits wait for a synchronous one from here on."""
        self._made += 1
        self._alter(
            self.postgres,
            # A server that was restarted still has what its standby has not heard of.
            wal_keep_size="256MB",
            wal_retrieve_retry_interval="200ms",
        )
        self.standby = self.postgres.standby(self._folder / f"postgres-{self._made}")
        self._wait_for(lambda: self._count(STREAMS) > 0, "The standby does not follow its server.")
        if self._kind == SYNCHRONOUS:
            self._alter(self.postgres, synchronous_standby_names="*")
            # The checkpointer is who tells all sessions that a COMMIT waits, and it reads its
            # settings before it does what it is asked for.
            with psycopg.connect(self.postgres.url, autocommit=True) as connection:
                connection.execute("CHECKPOINT")

    def fail_over(self) -> bool:
        """The server in use is gone for good. Its standby is promoted and answers at its address;
        then it gets a standby of its own."""
        if self.standby is None:
            return False
        if self._kind == ASYNCHRONOUS:
            self._alter(self.standby, primary_conninfo="")
            self._wait_for(lambda: self._count(FOLLOWERS) == 0, "The standby goes on following.")
            sleep(BEHIND_SECONDS)
        lost, promoted = self.postgres, self.standby
        lost.kill()
        with psycopg.connect(promoted.url, autocommit=True) as connection:
            connection.execute("SELECT pg_promote()")
        promoted.stop()
        lost.stop()
        shutil.rmtree(lost.data_dir)
        promoted.port = lost.port
        promoted.start()
        self.postgres, self.standby = promoted, None
        self.attach()
        return True

    def stop(self) -> None:
        for server in (self.standby, self.postgres):
            if server:
                server.stop()

    def _wait_for(self, condition: Callable[[], bool], otherwise: str) -> None:
        if not wait_until(condition, seconds=ATTACH_SECONDS):
            raise CannotStart(otherwise)

    def _count(self, query: str) -> int:
        """At the server in use."""
        with psycopg.connect(self.postgres.url) as connection:
            [count] = connection.execute(query).fetchone() or [0]
        return int(count)

    def _alter(self, server: EmbeddedPostgres, **settings: str) -> None:
        with psycopg.connect(server.url, autocommit=True) as connection:
            for name, value in settings.items():
                alter = sql.SQL("ALTER SYSTEM SET {} = {}")
                connection.execute(alter.format(sql.Identifier(name), sql.Literal(value)))
            connection.execute("SELECT pg_reload_conf()")
