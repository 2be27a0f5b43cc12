"""What Django and its kin do anew for each test, done with less: together it took longer than most
tests themselves."""

from collections.abc import Iterable
from functools import cache
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.contenttypes.models import ContentType
from django.core.management import call_command
from django.db import OperationalError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import TransactionTestCase
from django.test.client import store_rendered_templates  # type: ignore[attr-defined] # not in its stubs
from whitenoise.base import StaticFile
from whitenoise.middleware import WhiteNoiseMiddleware

from checkout.orders.identity.installation import installation_id, renew_installation
from tests.support.waiting import LONG_WAIT

ACTIVE = psycopg.pq.TransactionStatus.ACTIVE
IDLE = psycopg.pq.TransactionStatus.IDLE

# What migrations have made and no test changes.
KEPT = {"django_content_type", "auth_permission", "orders_installation"}

# History that the database lets nobody delete.
APPEND_ONLY = "catalogue_stockmovement"

# Takes back all that a test has said to its connection.
FORGET = "RESET ALL; UNLISTEN *; DISCARD TEMP; SELECT pg_advisory_unlock_all()"

# Deleted rows keep their room. When a table has become so large, all are truncated after all.
LARGE_BYTES = 1_000_000

LARGEST = "SELECT max(pg_relation_size(oid)) FROM pg_class WHERE relname IN ({})"


def take_shortcuts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
    _keep_the_connection(patch)
    patch.setattr("django.test.client.store_rendered_templates", keep_context_of_the_page)
    # A password takes a third of a second by design, and most tests that sign in make one.
    patch.setattr(PBKDF2PasswordHasher, "iterations", 1)
    _find_static_files_once(patch)


def empty_tables(case: TransactionTestCase) -> None:
    """Django would truncate every table, which gives each of them and of its indexes a new file,
    and then make content types and permissions anew."""
    if connection.connection and connection.connection.pgconn.transaction_status == ACTIVE:
        connection.close()  # a test that ran out of time left a statement; the others go on
    tables = _tables_to_empty()
    # Waits for whoever is still writing, as TRUNCATE does, and longer than the shop would.
    lock = f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE"
    with transaction.atomic(), connection.cursor() as cursor:
        # References are checked at the end of the transaction, if at all: any order will do.
        cursor.execute("; ".join([LONG_WAIT, lock, deleting_from(tables)]))
        cursor.execute(LARGEST.format(", ".join(f"'{table}'" for table in tables)))
        [(largest,)] = cursor.fetchall()
    if largest > LARGE_BYTES:
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        renew_installation()
    remember_what_stays()  # a test that restored a backup has forgotten some of it


@cache
def _tables_to_empty() -> list[str]:
    models = apps.get_models(include_auto_created=True)
    return sorted({model._meta.db_table for model in models} - KEPT)


def remember_what_stays() -> None:
    """A process asks for it once, which would add a statement to whatever some test counts the
    statements of, if that test came first."""
    ContentType.objects.get_for_models(*apps.get_models(include_auto_created=True))
    installation_id()


class KeptConnection:
    """The connection of one test is that of the next: a new one would have to learn every table
    anew. Between the two Django has none, since some tests show what happens without. Django wraps
    the connections of tests with a browser in an object of its own, since Playwright's event loop
    runs in them, and the object knows what was set on its connection: none goes to another."""

    def __init__(self) -> None:
        self._kept: psycopg.Connection[Any] | None = None
        self._wrapper: BaseDatabaseWrapper | None = None

    def put_away(self) -> bool:
        """Whether Django has to close the connection, as it does after each test."""
        if not connection.connection or connection.connection.pgconn.transaction_status != IDLE:
            return True
        try:
            with connection.cursor() as cursor:
                cursor.execute(FORGET)
            connection.ensure_timezone()
        except OperationalError:  # a test has cut it
            return True
        self.close()  # that of an earlier test, if this one came to another
        self._wrapper = connections["default"]
        self._kept, self._wrapper.connection = self._wrapper.connection, None
        return False

    def take_out(self) -> None:
        wrapper = connections["default"]
        if self._kept and wrapper is self._wrapper and wrapper.connection is None:
            wrapper.connection, self._kept = self._kept, None

    def close(self) -> None:
        if self._kept:
            self._kept.close()
            self._kept = None


KEPT_CONNECTION = KeptConnection()


def deleting_from(tables: Iterable[str]) -> str:
    """Not from those that are kept, whoever asks. A superuser, as in a Postgres of the tests' own,
    may keep all triggers from firing, those of references among them, which takes least time."""
    deletes = [f"DELETE FROM {table}" for table in tables if table not in KEPT]
    connection.ensure_connection()
    if connection.connection.info.parameter_status("is_superuser") == "on":
        return ";".join(["SET LOCAL session_replication_role = replica", *deletes])
    trigger = f"ALTER TABLE {APPEND_ONLY} {{}} TRIGGER USER"
    return ";".join([trigger.format("DISABLE"), *deletes, trigger.format("ENABLE")])


def keep_context_of_the_page(store: dict[str, Any], *signal: Any, **rendered: Any) -> None:
    """Not that of each template in it as well: the copies take longer than to render them."""
    if "context" not in store:
        store_rendered_templates(store, *signal, **rendered)


def _keep_the_connection(patch: pytest.MonkeyPatch) -> None:
    set_up = TransactionTestCase._fixture_setup.__func__  # type: ignore[attr-defined] # a class's

    def with_the_connection(cls: type[TransactionTestCase]) -> None:
        KEPT_CONNECTION.take_out()
        set_up(cls)

    patch.setattr(TransactionTestCase, "_fixture_setup", classmethod(with_the_connection))
    patch.setattr(TransactionTestCase, "_should_reload_connections", KEPT_CONNECTION.put_away)


def _find_static_files_once(patch: pytest.MonkeyPatch) -> None:
    """Each test client has middleware of its own, which would go through all folders."""
    find = WhiteNoiseMiddleware.add_files_from_finders
    found: dict[str, StaticFile] = {}

    def remember(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            find(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", remember)
