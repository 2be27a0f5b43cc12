"""Marking many orders as sent, by a file of order numbers and tracking numbers.

A row's key is made of both numbers. The same file given twice, or again after a crash in its
middle, sends nothing twice.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from django.db import OperationalError, transaction
from psycopg.errors import LockNotAvailable

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.dispatch.ship import ship
from checkout.orders.dispatch.to_send import lines_to_send
from checkout.orders.dispatch.tracking_file import TrackingRow, same_tracking
from checkout.orders.models import Order, Shipment
from checkout.runtime.clock import database_now

# What was sent before is looked up for so many rows at once.
CHUNK = 500


TAKEN_BACK = (
    "This row was imported before, and its parcel was taken back as a mistake. If it is sent now, "
    "mark it on the order's page."
)


class Done(Enum):
    SENT = "sent"
    WOULD_SEND = "would be sent"
    BEFORE = "sent before"
    REFUSED = "refused"


@dataclass(frozen=True, kw_only=True)
class Imported:
    line: int
    number: str
    tracking: str
    done: Done
    why: str = ""


def import_shipments(
    rows: Sequence[TrackingRow], *, by: str, dry_run: bool = False
) -> Iterator[Imported]:
    """Each row has a transaction of its own. This may be stopped at any moment and repeated."""
    # What a rehearsal has not stored: order number → the tracking number of an earlier row.
    rehearsed: dict[str, str] = {}
    for chunk in _chunks(rows):
        sent = _sent_before(chunk)
        for row in chunk:
            if row.problem:
                result = _told(row, Done.REFUSED, row.problem)
            elif (row.number, same_tracking(row.tracking)) in sent:
                result = _told(row, Done.BEFORE)
            else:
                result = _send(row, rehearsed, by=by, dry_run=dry_run)
            yield result


def _send(row: TrackingRow, rehearsed: dict[str, str], *, by: str, dry_run: bool) -> Imported:
    if earlier := rehearsed.get(row.number):
        if same_tracking(earlier) == same_tracking(row.tracking):
            return _told(row, Done.BEFORE)
        return _told(row, Done.REFUSED, _sent_with([earlier]))
    try:
        with transaction.atomic():
            result = _send_under_lock(row, by)
            if dry_run:
                transaction.set_rollback(True)
    except ActionImpossible as error:
        return _told(row, Done.REFUSED, str(error))
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return _told(row, Done.REFUSED, "Another process has this order now. Try again.")
        raise
    if dry_run and result.done is Done.SENT:
        rehearsed[row.number] = row.tracking
        return _told(row, Done.WOULD_SEND)
    return result


def _send_under_lock(row: TrackingRow, by: str) -> Imported:
    order = Order.objects.select_for_update().filter(number=row.number).first()
    if order is None:
        return _told(row, Done.REFUSED, "There is no such order.")
    every, key = list(order.shipments.all()), key_of(row)
    parcels = [each for each in every if not each.undone_at]
    if any(same_tracking(each.tracking_number) == same_tracking(row.tracking) for each in parcels):
        return _told(row, Done.BEFORE)
    if parcels and not lines_to_send(order):
        return _told(row, Done.REFUSED, _sent_with([each.tracking_number for each in parcels]))
    if any(each.key == key for each in every):
        return _told(row, Done.REFUSED, TAKEN_BACK)
    ship(order, None, key=key, tracking_number=row.tracking, by=by, now=database_now())
    return _told(row, Done.SENT)


def _sent_with(tracking_numbers: Iterable[str]) -> str:
    known = ", ".join(filter(None, tracking_numbers))
    return f"All of it was sent before, with {known or 'no tracking number'}."


def key_of(row: TrackingRow) -> str:
    both = f"{row.number}\n{same_tracking(row.tracking)}"
    return f"file-{hashlib.sha256(both.encode()).hexdigest()}"


def _sent_before(rows: Sequence[TrackingRow]) -> set[tuple[str, str]]:
    """Without a lock: what was sent stays sent, and whatever else is true is looked at again."""
    numbers = {row.number for row in rows if not row.problem}
    parcels = Shipment.objects.filter(order__number__in=numbers, undone_at=None)
    return {
        (number, same_tracking(tracking))
        for number, tracking in parcels.values_list("order__number", "tracking_number")
    }


def _chunks(rows: Sequence[TrackingRow]) -> Iterator[Sequence[TrackingRow]]:
    for first in range(0, len(rows), CHUNK):
        yield rows[first : first + CHUNK]


def _told(row: TrackingRow, done: Done, why: str = "") -> Imported:
    return Imported(line=row.line, number=row.number, tracking=row.tracking, done=done, why=why)


def counted(results: Iterable[Imported]) -> dict[str, int]:
    """How many rows ended in each way, in words."""
    results = list(results)
    return {done.value: sum(each.done is done for each in results) for done in Done}
