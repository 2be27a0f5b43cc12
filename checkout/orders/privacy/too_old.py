"""Erase the customers of orders that were placed longer ago than personal data is kept."""

from collections.abc import Callable, Iterator
from datetime import datetime

from django.conf import settings
from django.db.models import Q, QuerySet

from checkout.orders.models import Order
from checkout.orders.privacy.erase import erase_order

BATCH = 200

BY = "prune"


def erase_too_old(
    *,
    now: datetime,
    dry_run: bool = False,
    progress: Callable[[int], None] = lambda erased: None,
) -> int:
    """Returns how many orders were erased, or at most would be. Each is its own transaction, so a
    run may be killed at any moment and repeated. One that is not finished waits for a later run."""
    if settings.PERSONAL_DATA_YEARS is None:
        return 0
    before = years_before(now, settings.PERSONAL_DATA_YEARS)
    if dry_run:
        return not_erased(before, None).count()
    why = f"Placed more than {settings.PERSONAL_DATA_YEARS} years ago (PERSONAL_DATA_YEARS)"
    erased = 0
    for order_id in _in_batches(before):
        erased += not erase_order(order_id, by=BY, why=why, now=now)
        progress(erased)
    return erased


def years_before(now: datetime, years: int) -> datetime:
    try:
        return now.replace(year=now.year - years)
    except ValueError:  # the 29th of February
        return now.replace(year=now.year - years, day=28)


def _in_batches(before: datetime) -> Iterator[int]:
    """The ids, the oldest first, a batch after the other, past those that are not finished."""
    after: tuple[datetime, int] | None = None
    while True:
        found = list(not_erased(before, after).values_list("placed_at", "pk")[:BATCH])
        yield from (pk for _, pk in found)
        if len(found) < BATCH:
            return
        after = found[-1]


def not_erased(before: datetime, after: tuple[datetime, int] | None) -> QuerySet[Order]:
    """Found by an index that holds no erased order: a run walks nothing that earlier runs did."""
    old = Order.objects.filter(erased_at=None, placed_at__lt=before).order_by("placed_at", "pk")
    if after is None:
        return old
    placed_at, pk = after
    later = Q(placed_at__gt=placed_at) | Q(pk__gt=pk)
    return old.filter(later, placed_at__gte=placed_at)
