"""A database that restarts is waited for, once and not for long; a probe is told at once."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from django.db import OperationalError, connection
from django.db.backends.postgresql import base as django_base
from django.test import Client

from checkout.runtime.database import impatiently
from config.database import base
from config.database.base import DatabaseWrapper


@pytest.fixture(autouse=True)
def _no_outage_of_another_test() -> Iterator[None]:
    DatabaseWrapper._away_since = None
    yield
    DatabaseWrapper._away_since = None


@pytest.fixture
def restarting(monkeypatch: pytest.MonkeyPatch, transactional_db: None) -> list[float]:
    """Refuses connections until the time in the list."""
    until = [time.monotonic() + 1.0]
    connect = django_base.DatabaseWrapper.get_new_connection

    def refuse(self: DatabaseWrapper, conn_params: dict[str, object]) -> object:
        if time.monotonic() < until[0]:
            raise psycopg.OperationalError("the database system is starting up")
        return connect(self, conn_params)

    monkeypatch.setattr(django_base.DatabaseWrapper, "get_new_connection", refuse)
    connection.close()
    return until


def ask() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


@pytest.mark.usefixtures("restarting")
def test_restart_is_waited_for() -> None:
    ask()


def test_long_outage_is_waited_for_once(
    restarting: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "PATIENCE_SECONDS", 0.2)
    restarting[0] = time.monotonic() + 3600
    waits: list[float] = []
    monkeypatch.setattr("config.database.base.sleep", waits.append)

    with pytest.raises(OperationalError):
        ask()
    waited_once = waits.copy()
    DatabaseWrapper._away_since = time.monotonic() - 1  # it has been away for long by now
    for _ in range(2):
        with pytest.raises(OperationalError):
            ask()

    assert waits == waited_once != []
    restarting[0] = 0
    ask()
    assert DatabaseWrapper._away_since is None  # the next outage is waited for again


def test_probe_is_told_at_once(
    restarting: list[float], client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    restarting[0] = time.monotonic() + 3600
    waits: list[float] = []
    monkeypatch.setattr("config.database.base.sleep", waits.append)

    with impatiently(), pytest.raises(OperationalError):
        ask()
    assert client.get("/readyz").status_code == 503

    assert waits == []
    restarting[0] = 0
    assert client.get("/readyz").status_code == 200
