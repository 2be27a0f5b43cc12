"""Empties the test's database after a test that committed to it.

Django would truncate every table, which gives each of them and of its indexes a new file, and then
make content types and permissions anew. That takes longer than most tests do.
"""

from django.apps import apps
from django.core.management import call_command
from django.db import connection, transaction
from django.test import TransactionTestCase

# What migrations have made and no test changes.
KEPT = {"django_content_type", "auth_permission"}

# Deleted rows keep their room. When a table has become so large, all are truncated after all.
LARGE_BYTES = 1_000_000

LARGEST = "SELECT max(pg_relation_size(oid)) FROM pg_class WHERE relname = ANY(%s)"


def empty_tables(case: TransactionTestCase) -> None:
    models = apps.get_models(include_auto_created=True)
    tables = sorted({model._meta.db_table for model in models} - KEPT)
    with transaction.atomic(), connection.cursor() as cursor:
        # Waits for whoever is still writing, as TRUNCATE does.
        cursor.execute(f"LOCK TABLE {', '.join(tables)} IN SHARE ROW EXCLUSIVE MODE")
        # References are checked at the end of the transaction: any order will do.
        cursor.execute(";".join(f"DELETE FROM {table}" for table in tables))
        cursor.execute(LARGEST, [tables])
        [(largest,)] = cursor.fetchall()
    if largest > LARGE_BYTES:
        call_command("flush", verbosity=0, interactive=False, reset_sequences=False)
