"""What the tests do faster than Django would leaves the database as clean."""

import threading

import psycopg
import pytest
from django.apps import apps
from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection, transaction
from django.test import TransactionTestCase

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.models import Installation, Order
from tests.support import shortcuts
from tests.support.factories import placed_order
from tests.support.processes import database_url
from tests.support.shortcuts import KEPT, empty_tables

INSERT = """
    INSERT INTO catalogue_product (sku, name, slug, price_minor, stock, description, is_on_sale)
    VALUES ('LATE', 'Late', 'late', 1, 1, '', true)
"""


def test_tables_are_emptied_but_for_what_migrations_made(shelf: list[Product]) -> None:
    placed_order(shelf[0])
    permissions = Permission.objects.count()

    empty_tables(TransactionTestCase())

    left = {
        model._meta.db_table
        for model in apps.get_models(include_auto_created=True)
        if model._default_manager.exists()
    }
    assert left == KEPT
    assert Permission.objects.count() == permissions > ContentType.objects.count()


def test_what_migrations_made_is_kept_whoever_empties(shelf: list[Product]) -> None:
    """Or a process that has read the installation's id takes all messages for a stranger's."""
    before = installation_id()
    everything = [model._meta.db_table for model in apps.get_models(include_auto_created=True)]

    with connection.cursor() as cursor, transaction.atomic():
        cursor.execute(shortcuts.deleting_from(everything))

    assert [row.installation_id for row in Installation.objects.all()] == [before]
    assert not Product.objects.exists()


def test_whoever_still_writes_is_waited_for(shelf: list[Product]) -> None:
    with psycopg.connect(database_url()) as writing:
        writing.execute(INSERT)
        threading.Timer(0.3, writing.commit).start()

        empty_tables(TransactionTestCase())

    assert not Product.objects.exists()


def test_large_tables_give_their_room_back(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    placed_order(shelf[0])
    monkeypatch.setattr(shortcuts, "LARGE_BYTES", 0)

    empty_tables(TransactionTestCase())

    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_relation_size('catalogue_product')")
        assert cursor.fetchone() == (0,)
    assert not Order.objects.exists()
    assert Permission.objects.exists()
