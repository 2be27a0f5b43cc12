"""`migrate` runs beside a shop: without its limits, and holding nobody up."""

import io
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module

import psycopg
import pytest
from django.apps.registry import Apps
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management import call_command
from django.db import OperationalError, connection, migrations, models
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from checkout.management.commands import migrate
from tests.config.test_migrations import RELEASED
from tests.support.processes import database_url, eventually
from tests.support.waiting import until_somebody_waits

INDEX = "checkout_cart_old_idx"

# What does nothing in the database.
ON_PAPER = {migrations.AlterModelOptions}

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "300ms")


@pytest.fixture
def everything_migrated(transactional_db: None) -> Iterator[None]:
    yield
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0)


def migrate_to(*where: str) -> str:
    told = io.StringIO()
    call_command("migrate", *where, verbosity=0, stderr=told)
    return told.getvalue()


class Listening(io.StringIO):
    """Acts when the command says these words, before it goes on."""

    def __init__(self, awaited: str, act: Callable[[], object]) -> None:
        super().__init__()
        self.awaited, self.act = awaited, act

    def write(self, words: str) -> int:
        if self.awaited in words:
            self.act()
        return super().write(words)


def limit(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


def is_valid(index: str) -> bool | None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass(%s)", [index]
        )
        found = cursor.fetchone()
    return found[0] if found else None


@pytest.mark.usefixtures("everything_migrated")
def test_limits_of_the_shop_do_not_hold_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: limit(name) for name in (*migrate.LIMITS, "lock_timeout")}
    seen: dict[str, str] = {}

    def look(*args: object) -> None:
        seen.update({name: limit(name) for name in before})

    monkeypatch.setattr(migrate.Command, "_drop_leftovers", look)

    migrate_to()

    assert seen == dict.fromkeys(migrate.LIMITS, "0") | {"lock_timeout": "300ms"}
    assert {name: limit(name) for name in before} == before
    assert before["statement_timeout"] == "10s"


@pytest.mark.usefixtures("everything_migrated")
def test_invalid_index_of_a_killed_run_is_built_again() -> None:
    migrate_to("checkout", "0007")
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO checkout_cart (checkout_id, version) VALUES "
            "(gen_random_uuid(), 1), (gen_random_uuid(), 1)"
        )
        with pytest.raises(Exception, match="unique"):  # a build that ends half-way leaves this
            cursor.execute(f"CREATE UNIQUE INDEX CONCURRENTLY {INDEX} ON checkout_cart (version)")
    assert is_valid(INDEX) is False

    told = migrate_to("checkout")

    assert f"Dropping {INDEX}" in told
    assert is_valid(INDEX) is True


@pytest.mark.usefixtures("everything_migrated")
def test_index_that_was_built_and_not_recorded_is_no_error() -> None:
    migrate_to("checkout", "0007")
    with connection.cursor() as cursor:
        cursor.execute(f"CREATE INDEX {INDEX} ON checkout_cart (created_at)")

    migrate_to("checkout")

    assert is_valid(INDEX) is True


@pytest.mark.usefixtures("everything_migrated")
@pytest.mark.parametrize(
    ("before", "in_use"),
    [
        ("0006", "SELECT FROM checkout_cart"),
        # A new table's foreign keys come last, when Django has left its own transaction block.
        ("0002", "LOCK TABLE auth_user IN ROW EXCLUSIVE MODE"),
    ],
    ids=["column", "foreign key"],
)
def test_change_of_a_table_in_use_lets_others_through_and_tries_again(
    before: str, in_use: str
) -> None:
    migrate_to("checkout", before)
    with psycopg.connect(database_url()) as shop:
        shop.execute(in_use.encode())
        told = Listening("Trying again", shop.rollback)
        call_command("migrate", "checkout", verbosity=0, stderr=told)

    assert "Trying again" in told.getvalue()
    assert is_valid(INDEX) is True


def change_carts_and(monkeypatch: pytest.MonkeyPatch, *operations: Operation) -> None:
    """Have one migration add its column to the table of carts, and then do this."""
    migrate_to("checkout", "0006")
    module = import_module("checkout.migrations.0007_cart_changed_at")
    [change] = module.Migration.operations
    monkeypatch.setattr(module.Migration, "operations", [change, *operations])
    migrate_to("checkout", "0007")


class Look(Operation):
    """An operation of a migration, which looks whether a shopper would wait at that moment."""

    def __init__(self, seen: list[str]) -> None:
        self.seen = seen

    def state_forwards(self, app_label: str, state: object) -> None:
        pass

    def database_forwards(self, *args: object) -> None:
        with psycopg.connect(database_url(), options="-c lock_timeout=100ms") as shopper:
            try:
                shopper.execute("SELECT FROM checkout_cart")
                self.seen.append("free")
            except psycopg.errors.LockNotAvailable:
                self.seen.append("locked")


@pytest.mark.usefixtures("everything_migrated")
def test_nobody_waits_while_a_migration_works_out_its_changes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Django takes tens of milliseconds for each, and a large migration has thirty of them."""
    seen: list[str] = []

    change_carts_and(monkeypatch, Look(seen))

    assert seen == ["free"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT changed_at FROM checkout_cart")


@pytest.mark.usefixtures("everything_migrated")
def test_code_of_a_migration_finds_what_was_changed_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    found: list[int] = []

    def count(apps: Apps, schema_editor: object) -> None:
        carts = apps.get_model("checkout", "Cart").objects.filter(changed_at=None)
        found.append(carts.count())

    change_carts_and(monkeypatch, migrations.RunPython(count))

    assert found == [0]


@pytest.mark.usefixtures("everything_migrated")
def test_change_that_reads_the_database_finds_what_was_changed_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Django looks up the name of the constraint that it is to drop."""
    one_each, any_number = (
        migrations.AlterField("cart", "changed_at", models.DateTimeField(null=True, unique=unique))
        for unique in (True, False)
    )

    change_carts_and(monkeypatch, one_each, any_number)

    with connection.cursor() as cursor:
        found = connection.introspection.get_constraints(cursor, "checkout_cart")
    assert not [name for name, one in found.items() if one["columns"] == ["changed_at"]]


@pytest.mark.usefixtures("everything_migrated")
def test_each_migration_has_its_own_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "TRIES", 2)
    migrate_to("checkout", "0004")
    with psycopg.connect(database_url()) as shop:

        def look() -> None:
            shop.execute("SELECT FROM checkout_cart")

        look()
        told = Listening("Trying again", shop.rollback)
        applied = Listening("OK", look)
        call_command("migrate", "checkout", "0007", stdout=applied, stderr=told)

    assert told.getvalue().count("Trying again") == 2  # 0005 and 0007 change the table


@pytest.mark.usefixtures("everything_migrated")
def test_deadlock_with_the_shop_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration locks two tables, and the shop locks the same two the other way round."""
    monkeypatch.setattr(migrate, "LOCK_TIMEOUT", "30s")  # so that it is the deadlock that ends it

    told = next(filter(None, (told_after_a_deadlock() for _ in range(5))), "")

    assert "Trying again" in told


def told_after_a_deadlock() -> str:
    """What the migration has said. Nothing where Postgres had the shop give way."""
    migrate_to("checkout", "0006")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url()) as shop:
        shop.execute("SELECT FROM checkout_cart")  # changed last, after it was written down
        pressed = pool.submit(lock_when_waited_for, shop)
        told = migrate_to("checkout", "0007")
        with suppress(psycopg.errors.DeadlockDetected):
            pressed.result(10)
    return told


def lock_when_waited_for(shop: psycopg.Connection[tuple[object, ...]]) -> None:
    until_somebody_waits()
    shop.execute("LOCK TABLE django_migrations IN SHARE MODE")
    shop.rollback()


# Another table is locked when the shop has waited for the first for almost a second, after which
# Postgres looks whether two wait for each other, and ends the one who looks.
LATE_LOCK = ("SELECT pg_sleep(0.9)", "LOCK TABLE auth_user IN ACCESS EXCLUSIVE MODE")

IS_LOCKED = """
    SELECT FROM pg_locks WHERE relation = 'checkout_cart'::regclass
        AND mode = 'AccessExclusiveLock' AND granted
"""


@pytest.mark.usefixtures("everything_migrated")
def test_it_is_the_migration_that_gives_way_and_not_the_shop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A page reads two tables, and a migration that takes its time locks them the other way."""
    migrate_to("checkout", "0006")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(database_url()) as shop:
        shop.execute("SELECT FROM auth_user")
        page = pool.submit(read_carts_when_locked, shop)

        change_carts_and(monkeypatch, migrations.RunSQL(LATE_LOCK))

        page.result(10)
    with connection.cursor() as cursor:
        cursor.execute("SELECT changed_at FROM checkout_cart")


def read_carts_when_locked(shop: psycopg.Connection[tuple[object, ...]]) -> None:
    with psycopg.connect(database_url(), autocommit=True) as looking:
        eventually(lambda: looking.execute(IS_LOCKED).fetchone() is not None)
    shop.execute("SELECT FROM checkout_cart")
    shop.rollback()


@pytest.mark.usefixtures("everything_migrated")
def test_table_that_is_never_free_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(migrate, "TRIES", 2)
    migrate_to("checkout", "0006")
    with psycopg.connect(database_url()) as shop:
        shop.execute("SELECT FROM checkout_cart")
        with pytest.raises(OperationalError):
            migrate_to("checkout")


def test_indexes_on_tables_that_grow_are_built_concurrently_and_alone() -> None:
    """Since the last release: one that is interrupted leaves nothing half done but the index."""
    loader = MigrationLoader(None)
    for (app, name), migration in loader.disk_migrations.items():
        if app not in RELEASED or name <= RELEASED[app]:
            continue
        kinds = {type(operation) for operation in migration.operations} - ON_PAPER
        if AddIndexConcurrently in kinds:
            assert not migration.atomic, name
            assert kinds == {AddIndexConcurrently}, name
