"""Django's PostgreSQL backend, which asks the database less often whether it is still there, and
waits for one that restarts."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from checkout.runtime import clock
from checkout.runtime.retry import pauses

# A restart or a failover takes seconds. Whoever asks for a connection in the first seconds of an
# outage waits for its end; later ones are told at once, or all threads of a web process would wait.
PATIENCE_SECONDS = 5.0

TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"

_is_patient: ContextVar[bool] = ContextVar("is_patient", default=True)


@contextmanager
def impatiently() -> Iterator[None]:
    """Serves whoever asks whether the database is there, and wants to be told that it is not."""
    before = _is_patient.set(False)
    try:
        yield
    finally:
        _is_patient.reset(before)


class DatabaseWrapper(base.DatabaseWrapper):
    _away_since: float | None = None  # of the process: a connection is of one thread

    commits = 0  # that were sent over it, whether or not they arrived

    def is_usable(self) -> bool:
        """Before each request Django asks this of a connection that was kept, by a statement.

        A server that ends a session says so over the connection, and a network that fails shows by
        the keepalives. So where nothing has come, nothing is wrong. It also says when it takes no
        writes any more; a pooler between may not pass that on, so after an error it is asked.
        """
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        if self.errors_occurred or poll.poll(0):
            return self._takes_writes()
        told = self.connection.info.parameter_status
        return "on" not in (told("in_hot_standby"), told("default_transaction_read_only"))

    def _takes_writes(self) -> bool:
        try:
            with self.connection.cursor() as cursor:
                found = cursor.execute("SHOW transaction_read_only").fetchone()
        except psycopg.Error:
            return False
        return bool(found == ("off",))

    def _commit(self) -> None:
        self.commits += 1
        super()._commit()  # type: ignore[misc] # not in its stubs

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        for pause in pauses(first=0.05, longest=0.5, within=self._patience(), at_least=0):
            try:
                return self._connect(conn_params)
            except psycopg.OperationalError:
                time.sleep(pause)
        return self._connect(conn_params)

    def connect(self) -> None:
        """What is stamped in this process and judged in another is of the database's clock."""
        super().connect()
        asked_at = clock.steady()
        with self.wrap_database_errors:
            row = self.connection.execute(TIME, prepare=False).fetchone()
        clock.learn(row[0], asked_at=asked_at, answered_at=clock.steady())

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            DatabaseWrapper._away_since = DatabaseWrapper._away_since or time.monotonic()
            raise
        DatabaseWrapper._away_since = None
        return connection

    @staticmethod
    def _patience() -> float:
        """What is left of it in the outage that was noticed."""
        if not _is_patient.get():
            return 0.0
        since = DatabaseWrapper._away_since
        return PATIENCE_SECONDS if since is None else since + PATIENCE_SECONDS - time.monotonic()
