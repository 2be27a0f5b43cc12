"""A publisher with nothing to do is woken by a message that is stored, and no message is missed."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from django.db import connection, transaction
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.models import OutboxMessage
from checkout.orders.outbox import publisher
from checkout.orders.outbox.enqueue import ask, ask_first
from checkout.orders.outbox.wake import CHANNEL, LOCK, wait_for_message
from tests.doubles.recording_queue import RecordingQueue, as_queue
from tests.support.factories import placed_order
from tests.support.processes import database_url, eventually

pytestmark = pytest.mark.django_db(transaction=True)

# No test waits for as long: what is not woken fails.
FOR_EVER = 60.0

TRIES = "SELECT pg_try_advisory_lock(%s)"

# The server is that of all processes that run tests, each of which has a database of its own. A key
# of 64 bits is shown as two halves of 32, and 1 beside them.
HELD = """
    SELECT count(*) FROM pg_locks
    WHERE locktype = 'advisory' AND granted AND mode = 'ExclusiveLock'
      AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND classid = 0 AND objid = %s AND objsubid = 1
"""


def another_connection() -> psycopg.Connection:
    return psycopg.connect(database_url(), autocommit=True)


def is_waited() -> bool:
    """Whether somebody holds the lock of a publisher that waits."""
    with connection.cursor() as cursor:
        cursor.execute(HELD, [LOCK])
        return bool(cursor.fetchone() == (1,))


def in_a_thread_of_its_own(seconds: float) -> bool:
    try:
        return wait_for_message(seconds)
    finally:
        connection.close()


def test_message_wakes_the_publisher_that_waits(shelf: list[Product]) -> None:
    with ThreadPoolExecutor(1) as publishers:
        waiting = publishers.submit(in_a_thread_of_its_own, FOR_EVER)
        eventually(is_waited)
        placed_order(shelf[0])

        assert waiting.result(timeout=FOR_EVER / 2)
    assert not is_waited()


def test_message_that_becomes_due_earlier_wakes_it_too(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(available_at=timezone.now() + timedelta(hours=1))
    with ThreadPoolExecutor(1) as publishers:
        waiting = publishers.submit(in_a_thread_of_its_own, FOR_EVER)
        eventually(is_waited)
        ask(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=timezone.now())

        assert waiting.result(timeout=FOR_EVER / 2)


def test_nobody_is_told_while_no_publisher_waits(shelf: list[Product]) -> None:
    with another_connection() as listener:
        listener.execute(f"LISTEN {CHANNEL}")

        placed_order(shelf[0])
        assert list(listener.notifies(timeout=0.2)) == []

        assert listener.execute(TRIES, [LOCK]).fetchone() == (True,)
        placed_order(shelf[0])
        assert len(list(listener.notifies(timeout=FOR_EVER, stop_after=1))) == 1


def test_publisher_does_not_begin_to_wait_while_a_message_is_stored(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    with another_connection() as other:
        with transaction.atomic():
            ask_first(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=timezone.now())
            assert other.execute(TRIES, [LOCK]).fetchone() == (False,)
        assert other.execute(TRIES, [LOCK]).fetchone() == (True,)


def test_message_that_was_stored_just_before_is_not_waited_for(shelf: list[Product]) -> None:
    placed_order(shelf[0])

    assert wait_for_message(0.1)


def test_nothing_is_found_where_nothing_was_stored(shelf: list[Product]) -> None:
    assert not wait_for_message(0.1)


def test_one_publisher_waits_and_another_looks_by_itself(shelf: list[Product]) -> None:
    with another_connection() as first:
        first.execute(TRIES, [LOCK])

        assert not wait_for_message(FOR_EVER)


def test_behind_pgbouncer_the_publisher_looks_by_itself(settings: Settings) -> None:
    settings.DATABASE_BEHIND_PGBOUNCER = True

    assert not wait_for_message(FOR_EVER)


def test_every_message_of_many_shoppers_is_published_at_once(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Presses come in the moments in which the publisher begins and ends to wait."""
    monkeypatch.setattr(publisher, "WAIT_SECONDS", FOR_EVER)
    monkeypatch.setattr(publisher, "BETWEEN_SENDS_SECONDS", 0.0)
    stopping, each = threading.Event(), 15

    def publish() -> None:
        try:
            publisher.run(as_queue(RecordingQueue()), stopping)
        finally:
            connection.close()

    def shop(seed: int) -> None:
        pauses = random.Random(seed)
        try:
            for _ in range(each):
                time.sleep(pauses.uniform(0, 0.03))
                placed_order(shelf[seed])
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        publishing = threads.submit(publish)
        for shopping in [threads.submit(shop, seed) for seed in range(3)]:
            shopping.result()
        eventually(lambda: OutboxMessage.objects.filter(published_at=None).count() == 0)
        stopping.set()
        placed_order(shelf[0])  # wakes it, so that it ends
        publishing.result(timeout=FOR_EVER / 2)
    assert OutboxMessage.objects.exclude(published_at=None).count() >= 3 * each
