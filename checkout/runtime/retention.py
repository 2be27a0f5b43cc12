"""What becomes of old rows: each table that grows has a named end, or a named reason to have none.

Each app names its own (`register` when it is loaded), and `manage.py prune` deletes what has ended:
in batches, each found by an index and committed, so that a run beside the shop holds nobody up, may
be killed at any moment and repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

BATCH = 1000


@dataclass(frozen=True, kw_only=True)
class End:
    table: str  # the model's label, such as orders.Order
    why: str  # what ends a row, or why none ends
    after: timedelta | None = None  # None: no row is deleted by `prune`
    # The rows that ended before a time, the oldest first.
    ended: Callable[[datetime], QuerySet[Any]] | None = None


ENDS: dict[str, End] = {}


def register(*ends: End) -> None:
    ENDS.update({end.table: end for end in ends})


def prune(
    end: End,
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Delete the rows that have ended. Returns how many were deleted, or would be, without those
    that go with them."""
    if end.ended is None or end.after is None:
        return 0
    rows = end.ended(now - end.after)
    if dry_run:
        return rows.count()
    deleted, batch = 0, BATCH
    while batch == BATCH:
        with transaction.atomic():
            # Whoever is at work on a row keeps it until the next run.
            locked = rows.select_for_update(skip_locked=True, of=("self",))
            found = list(locked.values_list("pk", flat=True)[:BATCH])
            rows.model._default_manager.filter(pk__in=found).delete()
        batch = len(found)
        deleted += batch
        if progress:
            progress(deleted)
    return deleted
