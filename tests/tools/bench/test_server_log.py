"""Commits are counted from the server's log as the server made them."""

import pytest

from tests.tools.bench.beside_dbos.server_log import Logged


def log_of(*said: str, program: str = "worker", pid: int = 7) -> str:
    return "".join(f"{program}|{pid}|LOG:  statement: {statement}\n" for statement in said)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES (1)",
        "update t set a = 1",
        'DELETE FROM "t"',
        "-- why\n\tUPDATE t SET a = 'it''s'",
        "WITH new AS (\n\tINSERT INTO t VALUES (1) RETURNING id) SELECT id FROM new",
        "WITH due AS (SELECT id FROM t FOR UPDATE SKIP LOCKED) UPDATE t SET a = 1 FROM due",
        "WITH gone AS (DELETE FROM t RETURNING id) SELECT count(*) FROM gone",
    ],
)
def test_statement_that_writes_alone_is_a_commit(statement: str) -> None:
    assert Logged.of(log_of(statement)) == Logged(1, 1)


@pytest.mark.parametrize(
    "statement",
    [
        ";",
        "SELECT 1",
        "SELECT a FROM t FOR UPDATE",
        "WITH due AS (SELECT a FROM t FOR NO KEY UPDATE SKIP LOCKED) SELECT a FROM due",
        "WITH said AS (SELECT 'DELETE FROM t') SELECT 1 FROM said",
        "WITH old AS (SELECT updated_at FROM t) SELECT a FROM old -- UPDATE t",
        "SET LOCAL enable_sort = off",
    ],
)
def test_statement_that_writes_nothing_is_no_commit(statement: str) -> None:
    assert Logged.of(log_of(statement)) == Logged(1, 0)
    assert Logged.of(log_of("BEGIN", statement, "COMMIT")) == Logged(3, 0)


def test_transaction_is_one_commit_whatever_it_writes() -> None:
    log = log_of("BEGIN", "SELECT 1", "INSERT INTO t VALUES (1)", "UPDATE t SET a = 1", "COMMIT")

    assert Logged.of(log) == Logged(5, 1)
    assert Logged.of(log + log) == Logged(10, 2)


def test_transaction_that_is_rolled_back_or_goes_on_is_no_commit() -> None:
    log = log_of(
        "BEGIN ISOLATION LEVEL READ COMMITTED",
        "DELETE FROM t",
        "ROLLBACK",
        "BEGIN",
        "DELETE FROM t",
    )

    assert Logged.of(log).commits == 0


def test_savepoint_ends_no_transaction() -> None:
    log = log_of(
        "BEGIN",
        "INSERT INTO t VALUES (1)",
        "SAVEPOINT s",
        "ROLLBACK TO SAVEPOINT s",
        "RELEASE SAVEPOINT s",
        "COMMIT",
    )

    assert Logged.of(log) == Logged(6, 1)


def test_statement_that_fails_is_no_commit() -> None:
    error = "worker|7|ERROR:  duplicate key\nworker|7|STATEMENT:  INSERT INTO t VALUES (1)\n"
    alone = log_of("INSERT INTO t VALUES (1)") + error
    within = log_of("BEGIN", "INSERT INTO t VALUES (1)") + error + log_of("COMMIT")

    assert Logged.of(alone).commits == 0
    assert Logged.of(within).commits == 0
    assert Logged.of(alone + log_of("SELECT 1") + error).commits == 0


def test_connections_are_told_apart_and_the_bench_itself_is_left_out() -> None:
    log = """web|7|LOG:  statement: BEGIN
dbos_transact|8|LOG:  execute _pg3_4: INSERT INTO u (a) VALUES ($1)
dbos_transact|8|DETAIL:  parameters: $1 = 'UPDATE t'
web|7|LOG:  execute <unnamed>:\x20
\tWITH placed AS (
\t    INSERT INTO t VALUES ($1)
\t) SELECT 1
|9|LOG:  statement: UPDATE t SET a = 1
[unknown]|10|LOG:  connection received
web|7|LOG:  statement: COMMIT
"""

    assert Logged.of(log) == Logged(4, 2)


def test_what_was_polled_meanwhile_is_taken_away() -> None:
    polled = Logged(statements=50, commits=1).divided_by(10)

    assert Logged(100, 10).without(polled, 4) == Logged(80, 9.6)
    assert Logged(10, 0).without(polled, 4) == Logged(0, 0)
