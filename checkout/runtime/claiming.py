"""How a process takes in hand what is due, so that a backlog costs a claim no more than none, and
how it keeps it: a claim is short, and renewed while its process is at work, so that what a process
had claimed when it died is free again in seconds."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.db.models.functions import Now

from checkout.runtime.database import DATABASE_ERRORS

logger = logging.getLogger(__name__)


@contextmanager
def claiming() -> Iterator[None]:
    """A transaction in which Postgres reads what is due by the index that has it in its order, and
    stops when it has enough.

    Left alone it believes its statistics, to which a backlog after an outage is a handful of rows:
    it may read and sort the whole of it for each claim (PostgreSQL docs, "Planner Method
    Configuration": `enable_sort`).
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
        yield


@contextmanager
def kept_claimed(claimed: QuerySet[Any], *, claim: timedelta) -> Iterator[None]:
    """Renews the claim of these rows while the block takes long. `claimed` must leave out whatever
    another process may have done with them meanwhile."""
    done = threading.Event()
    every_seconds = claim.total_seconds() / 3
    keeper = threading.Thread(target=_renew, args=(claimed, claim, every_seconds, done))
    keeper.daemon = True
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _renew(
    claimed: QuerySet[Any], claim: timedelta, every_seconds: float, done: threading.Event
) -> None:
    try:
        while not done.wait(every_seconds):
            try:
                claimed.update(claimed_until=Now() + claim)
            except DATABASE_ERRORS as error:
                connection.close()
                extra = {"error": type(error).__name__}
                logger.warning("A claim was not renewed: it may be taken over", extra=extra)
    finally:
        connection.close()  # of this thread, which ends here
