"""Deleting outbox messages that nobody will look at again.

The deduplication id of a message is its row's id and generation. Row ids come from a sequence and
never come again, so an order whose messages were all deleted gets a new row with an id that SQS has
not seen: no message has to be kept for the sake of its generation.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef

from checkout.orders.attention.queries import open_rows
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus
from checkout.runtime.terminal import Progress

# One transaction looks at so many rows.
BATCH = 1000

FINISHED = sorted(set(OrderStatus) - UNSETTLED - EXPIRING)


@dataclass(frozen=True, kw_only=True)
class Pruned:
    looked_at: int
    deleted: int  # or would be


def prune_outbox(
    *,
    before: datetime,
    dry_run: bool = False,
    progress: Progress = lambda count: None,
) -> Pruned:
    """Delete what was published before then about orders that are final and that neither the sweep
    nor a person looks at. A run that is killed has done a part, and the next does the rest."""
    last = looked_at = deleted = 0
    while window := list(
        OutboxMessage.objects.filter(pk__gt=last)
        .order_by("pk")
        .values_list("pk", flat=True)[:BATCH]
    ):
        last = window[-1]
        looked_at += len(window)
        deleted += _prune(window, before, dry_run=dry_run)
        progress(deleted)
    return Pruned(looked_at=looked_at, deleted=deleted)


def _prune(window: list[int], before: datetime, *, dry_run: bool) -> int:
    old = OutboxMessage.objects.filter(pk__in=window, published_at__lt=before)
    finished = Order.objects.filter(
        pk__in=old.values("order"),
        status__in=FINISHED,
        sweep_at=None,
        expires_at=None,
        needs_person="",
    ).exclude(Exists(open_rows().filter(order=OuterRef("pk"))))
    if dry_run:
        return old.filter(order__in=finished).count()
    with transaction.atomic():
        # Whoever publishes an order again holds its lock: their order is left for the next run.
        locked = list(finished.select_for_update(skip_locked=True).values_list("pk", flat=True))
        deleted, _ = old.filter(order__in=locked).delete()
    return deleted
