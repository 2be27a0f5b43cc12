"""What becomes of old rows: each table that grows has a named end, or a named reason to have none.

Each app names its own (`register` when it is loaded), and `manage.py prune` deletes what has ended:
in batches, each found by an index and committed, so that a run beside the shop holds nobody up, may
be killed at any moment and repeated.
"""

from collections.abc import Callable, Iterator
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
    progress: Callable[[int], None] = lambda deleted: None,
) -> int:
    """Returns how many rows were deleted, or would be, without those that go with them."""
    if end.ended is None or end.after is None:
        return 0
    rows = end.ended(now - end.after)
    if dry_run:
        return rows.count()
    deleted = 0
    for batch in deleted_batches(rows, of=BATCH):
        deleted += batch
        progress(deleted)
    return deleted


def deleted_batches(rows: QuerySet[Any], *, of: int) -> Iterator[int]:
    """Delete the rows batch by batch, each when it is asked for. Yields the size of each."""
    found = of
    while found == of:
        with transaction.atomic():
            # Whoever is at work on a row keeps it until the next run.
            locked = rows.select_for_update(skip_locked=True, of=("self",))
            batch = list(locked.values_list("pk", flat=True)[:of])
            rows.model._default_manager.filter(pk__in=batch).delete()
        found = len(batch)
        yield found
