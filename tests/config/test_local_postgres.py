"""The private Postgres: starts anywhere, ends with its parent, loses nothing."""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from config.local.postgres import EmbeddedPostgres, InUse
from config.local.processes import CannotStart
from tests.support.long import long
from tests.support.open_folder import open_folder
from tests.support.processes import ROOT, eventually, is_alive

# Starts a server, stores one row, says where, and waits to be killed.
PARENT = """
    import sys, time
    from pathlib import Path
    import psycopg
    from config.local.postgres import EmbeddedPostgres

    postgres = EmbeddedPostgres(Path(sys.argv[1]), durable=True)
    with psycopg.connect(postgres.start(), autocommit=True) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 17 AS number")
    print(postgres.url, postgres.child.pid, flush=True)
    time.sleep(600)
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder("postgres") as folder:
        yield folder / "postgres"


@pytest.fixture
def postgres(folder: Path) -> Iterator[EmbeddedPostgres]:
    server = EmbeddedPostgres(folder, durable=False)
    yield server
    server.stop()


def ask(url: str, question: str) -> object:
    with psycopg.connect(url, autocommit=True) as connection:
        row = connection.execute(question).fetchone()
    assert row
    return row[0]


def test_server_is_not_root_and_answers_on_this_machine_only(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()

    assert postgres.child
    assert Path(f"/proc/{postgres.child.pid}").stat().st_uid != 0
    assert ask(url, "SHOW listen_addresses") == "127.0.0.1"
    assert (postgres.data_dir / "password").read_text() in url


def test_data_are_there_again_after_a_restart(postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.start()) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 17 AS number")
    postgres.stop()

    assert ask(postgres.start(), "SELECT number FROM kept") == 17


@long
def test_killed_server_comes_back_at_the_same_address(postgres: EmbeddedPostgres) -> None:
    url = postgres.start()
    assert postgres.child
    postgres.child.send(signal.SIGKILL)
    eventually(lambda: not postgres.child.is_running)  # type: ignore[union-attr] # it was started

    postgres.stop()

    assert postgres.start() == url


def test_server_ends_with_its_parent_and_loses_nothing(folder: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(PARENT), str(folder)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert parent.stdout
    pid = int(parent.stdout.readline().split()[1])

    parent.kill()
    parent.wait()
    parent.stdout.close()

    eventually(lambda: not is_alive(pid), what="the end of the server")
    again = EmbeddedPostgres(folder, durable=True)
    try:
        assert ask(again.start(), "SELECT number FROM kept") == 17
    finally:
        again.stop()


@long
def test_stale_pid_file_of_another_program_does_not_matter(postgres: EmbeddedPostgres) -> None:
    postgres.start()
    postgres.stop()
    stale = [str(os.getpid()), str(postgres.data_dir), "0", "5432", "", "127.0.0.1", "  0  0"]
    (postgres.data_dir / "postmaster.pid").write_text("\n".join(stale))

    assert ask(postgres.start(), "SELECT 1") == 1


def test_folder_in_use_is_said_in_one_line(postgres: EmbeddedPostgres, folder: Path) -> None:
    postgres.start()

    with pytest.raises(InUse, match="Another process is using the database in "):
        EmbeddedPostgres(folder, durable=False).start()


@long
def test_database_of_another_version_is_said_in_one_line(
    postgres: EmbeddedPostgres, folder: Path
) -> None:
    postgres.start()
    postgres.stop()
    (postgres.data_dir / "PG_VERSION").write_text("9\n")

    with pytest.raises(CannotStart, match=r"was made by PostgreSQL 9, which is not\s+installed"):
        EmbeddedPostgres(folder, durable=False).start()


@long
def test_interrupted_first_start_leaves_nothing_in_the_way(postgres: EmbeddedPostgres) -> None:
    building = postgres.data_dir.with_name(f"{postgres.data_dir.name}.building")
    (building / "data").mkdir(parents=True)
    (building / "data" / "PG_VERSION").write_text("9\n")

    assert ask(postgres.start(), "SELECT 1") == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="only root becomes another user for the server")
def test_folder_that_the_server_cannot_enter_is_replaced_for_as_long_as_it_lives(
    tmp_path: Path,
) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    first = EmbeddedPostgres(closed / "postgres", durable=False).data_dir.parent
    again = EmbeddedPostgres(closed / "postgres", durable=False).data_dir.parent
    shutil.rmtree(closed)
    closed.mkdir(mode=0o700)
    new = EmbeddedPostgres(closed / "postgres", durable=False).data_dir.parent

    assert closed not in first.parents
    assert again == first
    assert new != first
    first.rmdir()
    new.rmdir()


@long
def test_binaries_of_the_wheel_are_used_where_the_machine_has_none(
    postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    monkeypatch.setattr("config.local.postgres.VERSIONED_FOLDERS", tmp_path)

    url = postgres.start()

    assert str(ask(url, "SELECT version()")).startswith("PostgreSQL 18")
