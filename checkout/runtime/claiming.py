"""Rows that are decided in a transaction and sent after it: how a process claims those that are
due, keeps them while it is at work, and writes down what became of them.

A claim is short, and renewed while its process is at work: after a death it is free in seconds.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

from django.db import connection, models, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from checkout.runtime.database import DATABASE_ERRORS

logger = logging.getLogger(__name__)


class Claimable(models.Model):
    """A row that one process at a time has in hand."""

    available_at = models.DateTimeField()
    # One process has the row in hand until then, by the database's clock.
    claimed_until = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Sendable(Claimable):
    """A row that is tried until it is sent, or given up."""

    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # When the last try failed and no other follows.
    gave_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


# What a row is changed to that is tried once more from the beginning.
ANEW = {"sent_at": None, "gave_up_at": None, "claimed_until": None, "tries": 0}

Row = TypeVar("Row", bound=Claimable)
Tried = TypeVar("Tried", bound=Sendable)


def unclaimed() -> Q:
    return Q(claimed_until__isnull=True) | Q(claimed_until__lt=Now())


def claim(
    due: QuerySet[Row], *, lasts: timedelta, at_most: int, **changes: CombinedExpression
) -> list[Row]:
    """Claim those that have been due longest, for this process alone.

    Postgres reads them by the index that has them in their order, and stops when it has enough.
    Left alone it believes its statistics, to which a backlog after an outage is a handful of rows:
    it may read and sort the whole of it for each claim (PostgreSQL docs, "Planner Method
    Configuration": `enable_sort`).
    """
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_sort = off")
        free = due.filter(unclaimed()).select_for_update(skip_locked=True, of=("self",))
        rows = list(free.order_by("available_at", "id")[:at_most])
        claimed = due.model._default_manager.filter(pk__in=[row.pk for row in rows])
        claimed.update(claimed_until=Now() + lasts, **changes)
    return rows


def claim_next(due: QuerySet[Tried], *, lasts: timedelta) -> Tried | None:
    """Claim one row for a try, which is counted before it is made: a crash counts too."""
    for row in claim(due, lasts=lasts, at_most=1, tries=F("tries") + 1):
        row.tries += 1
        return row
    return None


def still_claimed(row: Tried) -> QuerySet[Tried]:
    """The row, unless it was sent meanwhile or its claim ran out and another process has it."""
    return type(row)._default_manager.filter(pk=row.pk, tries=row.tries, sent_at=None)


def renew(claimed: QuerySet[Any], *, lasts: timedelta) -> None:
    claimed.update(claimed_until=Now() + lasts)


@contextmanager
def kept_claimed(claimed: QuerySet[Any], *, lasts: timedelta) -> Iterator[None]:
    """Renews the claim of these rows while the block takes long. `claimed` must leave out whatever
    another process may have done with them meanwhile."""
    done = threading.Event()
    keeper = threading.Thread(target=_keep, args=(claimed, lasts, done), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        done.set()
        keeper.join()


def _keep(claimed: QuerySet[Any], lasts: timedelta, done: threading.Event) -> None:
    try:
        while not done.wait(lasts.total_seconds() / 3):
            try:
                renew(claimed, lasts=lasts)
            except DATABASE_ERRORS as error:
                connection.close()
                extra = {"error": type(error).__name__}
                logger.warning("A claim was not renewed: it may be taken over", extra=extra)
    finally:
        connection.close()  # of this thread, which ends here


def record(write: Callable[[], None]) -> None:
    """Write down what was sent, if need be over a second connection: it cannot be called back."""
    try:
        write()
    except DATABASE_ERRORS:
        connection.close()
        write()
