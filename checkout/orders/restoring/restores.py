"""The restores that an operator has told of, and what is put out of use with each."""

from datetime import datetime

from django.db import connection, transaction

from checkout.orders.models import Restore
from checkout.orders.restoring.acts_twice import PUT_OUT_OF_USE
from checkout.orders.restoring.numbers import move_row_ids
from checkout.runtime.database import lift_time_limit


def restore_noted(*, since: datetime) -> Restore | None:
    """The restore to that moment, if it was noted before. What was noted before the moment to which
    the database went back is about an earlier restore."""
    return Restore.objects.filter(found_at__gt=since).order_by("-id").first()


def note_restore(*, since: datetime, by: str, now: datetime) -> dict[str, int]:
    """Note the restore, once, and put out of use what could act twice. How many of each there were;
    nothing where it was noted before, or by another run meanwhile."""
    with transaction.atomic():
        lift_time_limit()  # there may be very many open carts
        with connection.cursor() as cursor:  # until another run has committed
            cursor.execute("LOCK TABLE orders_restore IN SHARE ROW EXCLUSIVE MODE")
        if restore_noted(since=since):
            return {}
        Restore.objects.create(went_back_to=since, found_at=now, found_by=by)
        move_row_ids()
        return {what: act.put() for what, act in PUT_OUT_OF_USE.items()}


def is_from_before_a_restore(moment: datetime) -> bool:
    return Restore.objects.filter(found_at__gte=moment).exists()
