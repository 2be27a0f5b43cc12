"""Django's PostgreSQL backend, with cheaper checks, and patience while the database restarts."""

import select
from time import monotonic, sleep
from typing import Any

import psycopg
from django.db.backends.postgresql import base

from checkout.runtime import clock
from checkout.runtime.database import is_patient
from checkout.runtime.retry import pauses

# A restart or a failover takes seconds. A request for a connection in the first seconds of an
# outage waits for its end; later ones fail at once, else all threads of a web process would wait.
PATIENCE_SECONDS = 5.0

TIME = "SELECT extract(epoch FROM clock_timestamp())::float8"


class DatabaseWrapper(base.DatabaseWrapper):
    _away_since: float | None = None  # shared by the process, since connections are per thread

    commits = 0  # how many were sent over this connection, whether or not they arrived

    def is_usable(self) -> bool:
        """Before each request Django checks a kept connection here, by a statement. This one polls.

        A server that ends a session says so over the connection, and keepalives notice a network
        that fails. So where nothing has arrived, nothing is wrong. A server also says when it takes
        no writes any more; a pooler may not pass that on, so after an error the server is asked.
        """
        if self.connection is None or self.connection.closed:
            return False
        poll = select.poll()
        poll.register(self.connection.fileno(), select.POLLIN)
        if self.errors_occurred or poll.poll(0):
            return self._takes_writes()
        status = self.connection.info.parameter_status
        return "on" not in (status("in_hot_standby"), status("default_transaction_read_only"))

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
                sleep(pause)
        return self._connect(conn_params)

    def connect(self) -> None:
        """Learn the database's clock, by which processes judge each other's times."""
        super().connect()
        asked_at = clock.steady()
        with self.wrap_database_errors:
            row = self.connection.execute(TIME, prepare=False).fetchone()
        clock.learn(row[0], asked_at=asked_at, answered_at=clock.steady())

    def _connect(self, conn_params: dict[str, Any]) -> Any:
        try:
            connection = super().get_new_connection(conn_params)
        except psycopg.OperationalError:
            DatabaseWrapper._away_since = DatabaseWrapper._away_since or monotonic()
            raise
        DatabaseWrapper._away_since = None
        return connection

    @staticmethod
    def _patience() -> float:
        if not is_patient():
            return 0.0
        since = DatabaseWrapper._away_since
        return PATIENCE_SECONDS if since is None else since + PATIENCE_SECONDS - monotonic()
