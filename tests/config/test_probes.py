"""`/healthz` speaks for the process alone, `/readyz` for what it needs to serve."""

import pytest
from django.db import OperationalError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client


def test_healthz_needs_no_database(client: Client) -> None:
    answer = client.get("/healthz")  # pytest-django refuses any access to the database here

    assert (answer.status_code, answer.content) == (200, b"ok\n")


@pytest.mark.django_db
@pytest.mark.parametrize(("path", "status"), [("/healthz", 200), ("/readyz", 200), ("/", 400)])
def test_probe_needs_no_host_name_and_a_page_does(client: Client, path: str, status: int) -> None:
    assert client.get(path, headers={"Host": "10.0.1.7:8000"}).status_code == status


@pytest.mark.django_db
def test_readyz_says_ready(client: Client) -> None:
    assert client.get("/readyz").status_code == 200


@pytest.mark.django_db
def test_readyz_says_that_migrations_are_missing(client: Client) -> None:
    [(app, newest)] = MigrationLoader(connection).graph.leaf_nodes("payments")
    MigrationRecorder(connection).record_unapplied(app, newest)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert b"run manage.py migrate" in answer.content


@pytest.mark.django_db
def test_readyz_says_that_the_database_is_away(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: object) -> None:
        raise OperationalError("could not connect to server at 10.0.0.7")

    monkeypatch.setattr("config.probes.MigrationExecutor", fail)

    answer = client.get("/readyz")

    assert answer.status_code == 503
    assert answer.content == b"The database does not answer.\n"
