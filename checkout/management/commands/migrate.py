import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.postgres.operations import AddIndexConcurrently
from django.core.management.commands import migrate
from django.db import OperationalError, connection
from django.db.backends.postgresql.schema import DatabaseSchemaEditor
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.migration import Migration
from psycopg.errors import DeadlockDetected, LockNotAvailable

# A change of a table waits for all who use the table, and all who come later wait behind it.
# So the change waits this long, lets them through, and tries again. It is well below Postgres's
# deadlock_timeout of a second: in a circle the migration should give way, and no purchase.
LOCK_TIMEOUT = "200ms"

# Whoever waits for a migration's first table looks for a circle after that second, whatever the
# migration waits for then. So a migration that has been at it for this long waits no more.
PATIENCE_SECONDS = 0.7
IMPATIENT = "SET LOCAL lock_timeout = '1ms'"
LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
TRIES = 30
PAUSE_SECONDS = 2.0

# A migration that changes two tables meets purchases that lock the two the other way round.
IN_USE = (LockNotAvailable, DeadlockDetected)

INVALID = """
    SELECT i.indexrelid::regclass::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
    WHERE NOT i.indisvalid AND c.relnamespace = current_schema()::regnamespace
        AND NOT EXISTS (
            SELECT FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid
        )
"""


class GivesWay(DatabaseSchemaEditor):
    """Waits for further tables only while nobody has waited long for the first."""

    _began_at: float | None = None

    def execute(self, sql: Any, params: Any = ()) -> None:
        if self.atomic_migration:
            if self._began_at is None:
                self._began_at = time.monotonic()
            elif time.monotonic() - self._began_at > PATIENCE_SECONDS:
                with self.connection.cursor() as cursor:
                    cursor.execute(IMPATIENT)
        super().execute(sql, params)


class StatementsAtOnce(GivesWay):
    """Works out all statements of a migration, and then runs them without a pause.

    Django draws every model anew between two changes of a table. For the thirty changes of a large
    migration that takes a second or several, and whoever uses the table would wait as long."""

    def __enter__(self) -> "StatementsAtOnce":
        super().__enter__()
        self._is_holding = self.atomic_migration
        self._held: list[tuple[str, Any]] = []
        return self

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        self._is_holding = False
        if kind is None:
            try:
                self._run_held()
            except BaseException:
                super().__exit__(*sys.exc_info())
                raise
        super().__exit__(kind, error, traceback)

    def execute(self, sql: Any, params: Any = ()) -> None:
        if self._is_holding:
            self._held.append((str(sql), params))
        else:
            super().execute(sql, params)

    def _run_held(self) -> None:
        held, self._held = self._held, []
        for sql, params in held:
            super().execute(sql, params)

    # Django reads these from the database, which has to be as it is after what was held so far. The
    # stubs of Django leave its private methods out, which is why the type checker is told to pass.

    def _constraint_names(self, *args: Any, **options: Any) -> Any:
        self._run_held()
        return super()._constraint_names(*args, **options)  # type: ignore[misc]

    def _get_sequence_name(self, *args: Any) -> Any:
        self._run_held()
        return super()._get_sequence_name(*args)  # type: ignore[misc]

    def _is_collation_deterministic(self, *args: Any) -> Any:
        self._run_held()
        return super()._is_collation_deterministic(*args)  # type: ignore[misc]


class Command(migrate.Command):
    """Django's own command, beside a running shop. The shop's time limit for a statement does not
    hold here, since an index of a large table takes longer. What a killed run left behind is
    removed first."""

    def handle(self, *args: Any, **options: Any) -> None:
        if connection.vendor != "postgresql" or options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
            return
        self._tries_left = TRIES
        while True:
            self._tries_left -= 1
            try:
                with self._without_the_shops_limits():
                    self._drop_leftovers()
                    super().handle(*args, **options)
            except OperationalError as error:
                if not self._tries_left or not isinstance(error.__cause__, IN_USE):
                    raise
                self.stderr.write("The shop uses a table that is to change. Trying again.")
                time.sleep(PAUSE_SECONDS)
                _begin_anew()
            else:
                return
            finally:
                connection.SchemaEditorClass = DatabaseSchemaEditor

    def migration_progress_callback(
        self, action: str, migration: Any = None, fake: bool = False
    ) -> None:
        """Limit the wait for locks, but not where an index is built concurrently. The tries begin
        anew after each migration."""
        if action in {"apply_start", "unapply_start"}:
            if not settings.DATABASE_BEHIND_PGBOUNCER:
                self._set("lock_timeout", LOCK_TIMEOUT if migration.atomic else "0")
            # Code of a migration's own reads the tables, which have to be changed by then.
            is_sql_alone = all(operation.reduces_to_sql for operation in migration.operations)
            connection.SchemaEditorClass = StatementsAtOnce if is_sql_alone else GivesWay
        if action in {"apply_success", "unapply_success"}:
            self._tries_left = TRIES - 1  # the next one's first try is this
        super().migration_progress_callback(action, migration, fake)

    @contextmanager
    def _without_the_shops_limits(self) -> Iterator[None]:
        if settings.DATABASE_BEHIND_PGBOUNCER:
            # The pooler would keep a limit with a session that others use.
            self.stderr.write(
                "Behind PgBouncer the role's limits hold for migrations too. If one ends a "
                "statement, repeat `migrate` with a DATABASE_URL that leads straight to Postgres "
                "and DATABASE_BEHIND_PGBOUNCER=false."
            )
            yield
            return
        for limit in LIMITS:
            self._set(limit, "0")
        self._set("lock_timeout", LOCK_TIMEOUT)
        yield
        with connection.cursor() as cursor:
            for limit in (*LIMITS, "lock_timeout"):
                cursor.execute(f"RESET {limit}")

    @staticmethod
    def _set(limit: str, value: str) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config(%s, %s, false)", [limit, value])

    def _drop_leftovers(self) -> None:
        """Drop indexes that are invalid, or that belong to a migration which did not finish."""
        if connection.in_atomic_block:  # in a test
            return
        with connection.cursor() as cursor:
            cursor.execute(INVALID)
            names = {name for (name,) in cursor.fetchall()}
            for name in sorted(names | _half_done(cursor)):
                self.stderr.write(f"Dropping {name}, which an earlier run did not finish.")
                cursor.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def _begin_anew() -> None:
    """A statement that a migration leaves for its end, such as a foreign key, is run where Django
    does not roll back: an error there leaves the connection inside the failed transaction."""
    connection.close()
    connection.connect()


def _half_done(cursor: Any) -> set[str]:
    """The indexes that exist already although their migrations are still to come."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    names = [name for migration, _ in plan for name in _indexes_of(migration)]
    cursor.execute(
        "SELECT c.oid::regclass::text FROM pg_class c WHERE c.relname = ANY(%s)"
        " AND c.relkind = 'i' AND c.relnamespace = current_schema()::regnamespace",
        [names],
    )
    return {name for (name,) in cursor.fetchall()}


def _indexes_of(migration: Migration) -> list[str]:
    """The indexes that a migration builds outside of a transaction, and which may exist in part."""
    if migration.atomic:
        return []
    return [
        operation.index.name
        for operation in migration.operations
        if isinstance(operation, AddIndexConcurrently)
    ]
