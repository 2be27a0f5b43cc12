"""Credentials that end in the middle and come back after some seconds: those of the queue, of the
gateway and of the database. The database also ends the connections that were opened with them."""

import math
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

import psycopg
import requests
from psycopg import sql

REFUSED_SECONDS = 4.0

# Those of the gateway are refused until so many calls have met that, or for so long. The shop, once
# it was refused, hardly calls.
REFUSED_CALLS = 3
REFUSED_SECONDS_AT_MOST = 15.0

SESSIONS_OF_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True)
class _Ended:
    from_seconds: float  # of the clock that only goes forward: not good again before this
    until_seconds: float  # and good again by then, however few met that
    is_enough: Callable[[], bool]
    come_back: Callable[[], None]


class Credentials:
    """To be used by one thread. `queue_url` answers where the queue in use is."""

    def __init__(self, database: str, queue_url: Callable[[], str], sandbox_url: str) -> None:
        self._database = database
        self._queue_url = queue_url
        self._sandbox_url = sandbox_url
        self._ended: list[_Ended] = []
        self.refuses_the_database = False  # its server cannot be asked whether it has started

    def end_of_queue(self) -> bool:
        url = f"{self._queue_url()}/control/credentials"
        _tell(url, {"expired": True})
        self._later(lambda: _tell(url, {"expired": False}))
        return True

    def end_of_gateway(self) -> bool:
        url = f"{self._sandbox_url}/sandbox/faults"
        before = _refused_calls(url)
        _tell(url, {"key_refused": True})
        self._later(
            lambda: _tell(url, {"key_refused": False}),
            is_enough=lambda: _refused_calls(url) - before >= REFUSED_CALLS,
            seconds_at_most=REFUSED_SECONDS_AT_MOST,
        )
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
        over = [
            ended
            for ended in self._ended
            if now >= ended.from_seconds and (now >= ended.until_seconds or ended.is_enough())
        ]
        self._ended = [ended for ended in self._ended if ended not in over]
        for ended in over:
            ended.come_back()

    def all_come_back(self) -> None:
        for ended in self._ended:
            ended.come_back()
        self._ended = []

    def _later(
        self,
        come_back: Callable[[], None],
        is_enough: Callable[[], bool] = lambda: True,
        seconds_at_most: float = math.inf,
    ) -> None:
        now = time.monotonic()
        ended = _Ended(now + REFUSED_SECONDS, now + seconds_at_most, is_enough, come_back)
        self._ended.append(ended)

    def _set_password(self, address: str, password: str) -> None:
        user = sql.Identifier(str(urlsplit(address).username))
        alter = sql.SQL("ALTER ROLE {} PASSWORD {}").format(user, sql.Literal(password))
        with psycopg.connect(address, connect_timeout=5, autocommit=True) as connection:
            connection.execute(alter)
            connection.execute(SESSIONS_OF_OTHERS)


def _tell(url: str, wish: dict[str, bool]) -> None:
    with suppress(requests.ConnectionError):  # a queue that was lost meanwhile
        requests.post(url, json=wish, timeout=10).raise_for_status()


def _refused_calls(url: str) -> int:
    answer = requests.get(url, timeout=10)
    return int(answer.json()["hits"].get("401", 0))
