"""What Django and its kin do anew for each test, done with less: together it took longer than most
tests themselves."""

from collections.abc import Iterable
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase
from django.test.client import store_rendered_templates  # type: ignore[attr-defined] # not in its stubs
from whitenoise.base import StaticFile
from whitenoise.middleware import WhiteNoiseMiddleware

from checkout.orders.identity.installation import renew_installation

ACTIVE = psycopg.pq.TransactionStatus.ACTIVE
IDLE = psycopg.pq.TransactionStatus.IDLE

# What migrations have made and no test changes.
KEPT = {"django_content_type", "auth_permission", "orders_installation"}

# Deleted rows keep their room. When a table has become so large, all are truncated after all.
LARGE_BYTES = 1_000_000

LARGEST = "SELECT max(pg_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)"


def take_shortcuts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(TransactionTestCase, "_fixture_teardown", empty_tables)
    patch.setattr(TransactionTestCase, "_should_reload_connections", forget_the_session)
    patch.setattr("django.test.client.store_rendered_templates", keep_context_of_the_page)
    # A password takes a third of a second by design, and most tests that sign in make one.
    patch.setattr(PBKDF2PasswordHasher, "iterations", 1)
    _find_static_files_once(patch)


def empty_tables(case: TransactionTestCase) -> None:
    """Django would truncate every table, which gives each of them and of its indexes a new file,
    and then make content types and permissions anew."""
    models = apps.get_models(include_auto_created=True)
    if connection.connection and connection.connection.pgconn.transaction_status == ACTIVE:
        connection.close()  # a test that ran out of time left a statement; the others go on
    tables = sorted({model._meta.db_table for model in models} - KEPT)
    with transaction.atomic(), connection.cursor() as cursor:
        # Waits for whoever is still writing, as TRUNCATE does.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
        cursor.execute(deleting_from(tables))
        cursor.execute(LARGEST, [tables])
        [(largest,)] = cursor.fetchall()
    if largest > LARGE_BYTES:
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
        renew_installation()


def forget_the_session(case: TransactionTestCase) -> bool:
    """Whether Django has to make a new connection for the next test, which then has to learn every
    table anew. The one that there is does as well, once all that a test said to it is forgotten."""
    if not connection.connection or connection.connection.pgconn.transaction_status != IDLE:
        return True
    with connection.cursor() as cursor:
        cursor.execute("RESET ALL; UNLISTEN *; DISCARD TEMP; SELECT pg_advisory_unlock_all()")
    connection.ensure_timezone()
    return False


def deleting_from(tables: Iterable[str]) -> str:
    """Not from those that are kept, whoever asks. No trigger fires meanwhile: neither those that
    keep history, nor those that look for references to each row."""
    deletes = (f"DELETE FROM {table}" for table in tables if table not in KEPT)
    return ";".join(["SET LOCAL session_replication_role = replica", *deletes])


def keep_context_of_the_page(store: dict[str, Any], *signal: Any, **rendered: Any) -> None:
    """Not that of each template in it as well: the copies take longer than to render them."""
    if "context" not in store:
        store_rendered_templates(store, *signal, **rendered)


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
