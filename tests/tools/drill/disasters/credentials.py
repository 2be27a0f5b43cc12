"""Credentials that end in the middle and come back after some seconds: those of the queue, of the
gateway and of the database. The database also ends the connections that were opened with them."""

import time
from collections.abc import Callable
from contextlib import suppress
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

REFUSED_SECONDS = 4.0

SESSIONS_OF_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


class Credentials:
    """To be used by one thread. `queue_url` answers where the queue in use is."""

    def __init__(self, database: str, queue_url: Callable[[], str], sandbox_url: str) -> None:
        self._database = database
        self._queue_url = queue_url
        self._sandbox_url = sandbox_url
        self._come_back: list[tuple[float, Callable[[], None]]] = []
        self.refuses_the_database = False  # its server cannot be asked whether it has started

    def end_of_queue(self) -> bool:
        url = f"{self._queue_url()}/control/credentials"
        _tell(url, {"expired": True})
        self._later(lambda: _tell(url, {"expired": False}))
        return True

    def end_of_gateway(self) -> bool:
        url = f"{self._sandbox_url}/sandbox/faults"
        _tell(url, {"key_refused": True})
        self._later(lambda: _tell(url, {"key_refused": False}))
        return True

    def end_of_database(self) -> bool:
        """False while Postgres is away."""
        parts = urlsplit(self._database)
        password, other = str(parts.password), f"not-{parts.password}"
        with_other = self._database.replace(f":{password}@", f":{other}@", 1)
        try:
            self._set_password(self._database, other)
        except psycopg.OperationalError:
            return False
        self.refuses_the_database = True

        def come_back() -> None:
            self._set_password(with_other, password)
            self.refuses_the_database = False

        self._later(come_back)
        return True

    def tend(self) -> None:
        now = time.monotonic()
        due = [back for at, back in self._come_back if at <= now]
        self._come_back = [(at, back) for at, back in self._come_back if at > now]
        for back in due:
            back()

    def all_come_back(self) -> None:
        for _, back in self._come_back:
            back()
        self._come_back = []

    def _later(self, back: Callable[[], None]) -> None:
        self._come_back.append((time.monotonic() + REFUSED_SECONDS, back))

    def _set_password(self, address: str, password: str) -> None:
        user = sql.Identifier(str(urlsplit(address).username))
        alter = sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(password))
        with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
            connection.execute(alter)
            connection.execute(SESSIONS_OF_OTHERS)


def _tell(url: str, wish: dict[str, bool]) -> None:
    with suppress(requests.ConnectionError):  # a queue that was lost meanwhile
        requests.post(url, json=wish, timeout=10).raise_for_status()
