"""The promises once more, with PgBouncer in transaction mode between the shop and Postgres."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from django.db import connection
from django.utils import timezone
from psycopg import sql
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from payments.sandbox.server import SandboxServer
from tests.doubles.pgbouncer import pgbouncer_binary, running_pgbouncer
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.presses import AT_ONCE, press_at_once
from tests.support.processes import ROOT, START_SECONDS, ShopProcesses, database_url
from tests.support.shopper import OverHttp, Shopper
from tests.support.till import Till, assert_each_paid_once

# Far fewer than the threads of the shop's processes: every transaction meets another connection.
POOL_SIZE = 4

ROUNDS = 20

LIMIT = re.compile(r"^ALTER ROLE shop SET (\w+) = '([\w ]+)';$", re.MULTILINE)


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2


@pytest.fixture
def limits(transactional_db: None) -> Iterator[dict[str, str]]:
    """The limits of docs/configuration.md, given to the role in this database alone."""
    limits = dict(LIMIT.findall((ROOT / "docs" / "configuration.md").read_text()))
    role, database = (sql.Identifier(connection.settings_dict[key]) for key in ("USER", "NAME"))
    alter = sql.SQL("ALTER ROLE {} IN DATABASE {} ").format(role, database)
    with connection.cursor() as cursor:
        for name, value in limits.items():
            change = sql.SQL("SET {} = {}").format(sql.Identifier(name), sql.Literal(value))
            cursor.execute(alter + change)
    yield limits
    with connection.cursor() as cursor:
        cursor.execute(alter + sql.SQL("RESET ALL"))


@pytest.fixture
def earlier_connections(transactional_db: None) -> set[int]:
    """What an earlier test left open, such as the connection of a killed process's last query."""
    return connections_of_others()


@pytest.fixture
def pool_port(limits: dict[str, str], earlier_connections: set[int]) -> Iterator[int]:
    binary = pgbouncer_binary()
    if binary is None:
        pytest.skip("No pgbouncer is installed here; Debian's package is called pgbouncer.")
    with running_pgbouncer(binary, pool_size=POOL_SIZE) as port:
        yield port


@pytest.fixture
def processes(
    tmp_path: Path,
    shelf: list[Product],
    queue: PaymentsQueue,
    sandbox: SandboxServer,
    pool_port: int,
) -> Iterator[ShopProcesses]:
    logs = tmp_path / "logs"
    logs.mkdir()
    started = ShopProcesses(
        logs,
        STRIPE_API_BASE=sandbox.url,
        DATABASE_URL=database_url(port=pool_port),
        DATABASE_BEHIND_PGBOUNCER="true",
    )
    yield started
    started.kill()
    print(started.said())


def test_limits_of_the_role_are_in_force_through_the_pool(
    pool_port: int, limits: dict[str, str], settings: Settings
) -> None:
    with psycopg.connect(database_url(port=pool_port)) as through:
        in_force = {
            name: row[0]
            for name in limits
            if (row := through.execute(sql.SQL("SHOW {}").format(sql.Identifier(name))).fetchone())
        }

    assert in_force == limits
    assert limits == {
        name: value.replace("\\", "") for name, value in settings.DATABASE_LIMITS.items()
    }


@pytest.mark.timeout(240)
@long  # `test_resubmission` shows it without the pool
def test_sixteen_posts_of_one_token_over_two_processes_make_one_order(
    processes: ShopProcesses, till: Till, earlier_connections: set[int]
) -> None:
    press_at_once(processes, rounds=ROUNDS)

    assert 0 < len(connections_of_others() - earlier_connections) <= POOL_SIZE
    assert [order.resubmission_count for order in Order.objects.all()] == [AT_ONCE - 1] * ROUNDS
    assert Product.objects.get(sku="SKU-01").stock == 100_000 - ROUNDS
    till.settle_everything_twice()
    assert_each_paid_once(till)


def connections_of_others() -> set[int]:
    """The processes of Postgres that serve this database to anybody but this test."""
    with connection.cursor() as cursor:
        cursor.execute(
            """SELECT pid FROM pg_stat_activity
               WHERE datname = current_database() AND pid <> pg_backend_pid()
                 AND backend_type = 'client backend'"""
        )
        return {pid for (pid,) in cursor.fetchall()}


@long  # `test_crashes` shows it without the pool
def test_worker_killed_leaves_one_charge_and_the_order_paid(
    processes: ShopProcesses, shelf: list[Product], queue: PaymentsQueue, till: Till
) -> None:
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    doomed = processes.worker(FAULT_POINT="end after confirm sent")
    assert doomed.wait(timeout=START_SECONDS) == -signal.SIGKILL
    assert len(till.charges()) == 1

    processes.worker()

    assert_each_paid_once(till)


def test_whole_flow_with_publisher_and_worker(
    processes: ShopProcesses, shelf: list[Product], till: Till
) -> None:
    web = processes.web()
    processes.publisher()
    processes.worker()
    shopper = Shopper(OverHttp(web.url))

    answers = [shopper.buy("SKU-01"), shopper.buy("SKU-02", 3)]

    assert [answer.status for answer in answers] == [303, 303]
    assert_each_paid_once(till)
    assert "You were charged once" in shopper.look(answers[1]).words
