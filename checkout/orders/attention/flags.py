"""Putting an order before a person, for each reason once, and ending a reason again."""

from datetime import datetime

from django.db import transaction

from checkout.orders.history import note, note_staff
from checkout.orders.models import AttentionReason, Order
from checkout.runtime.clock import database_now


def put_before_a_person(order_id: int, why: str, *, now: datetime) -> None:
    """Have a person look at the order for this reason, beside any others that are open. While the
    reason is open, saying so again adds nothing. `attention.reasons` says what ends each."""
    with transaction.atomic():
        reasons = _locked_open_reasons(order_id, now)
        if why in reasons:
            return
        AttentionReason.objects.create(order_id=order_id, reason=why, since=now)
        if not reasons:
            Order.objects.filter(pk=order_id).update(needs_person=why)
        note(order_id, f"A person must look: {why}", now=now)


def end_reason(
    order_id: int, why: str, *, by: str = "", how: str = "", now: datetime | None = None
) -> bool:
    """Nobody need look for this reason any more; other reasons stay open. False where the reason
    was not open. `by` names the person who said so, and is empty where an event ended the reason.
    """
    now = now or database_now()
    with transaction.atomic():
        reasons = _locked_open_reasons(order_id, now)
        if why not in reasons:
            return False
        AttentionReason.objects.filter(pk=reasons.pop(why)).update(
            resolved_at=now, resolved_by=by, resolution=how
        )
        Order.objects.filter(pk=order_id).update(needs_person=next(iter(reasons), ""))
        if by:
            note_staff(order_id, f"Seen to: {why}", by=by, why=how, now=now)
        else:
            note(order_id, f"Nobody need look any more: {why}", now=now)
    return True


def _locked_open_reasons(order_id: int, now: datetime) -> dict[str, int]:
    """The order's open reasons, the oldest first, with the ids of their rows; the order is locked.

    The release before this one knows the column alone. A reason that stands only there gets a row;
    and when the column is empty, that release has ended the reason that had stood there.
    """
    order = Order.objects.select_for_update().only("needs_person").get(pk=order_id)
    rows = AttentionReason.objects.filter(order_id=order_id, resolved_at=None).order_by("id")
    reasons = dict(rows.values_list("reason", "pk"))
    if order.needs_person and order.needs_person not in reasons:
        row = AttentionReason.objects.create(
            order_id=order_id, reason=order.needs_person, since=now
        )
        reasons[row.reason] = row.pk
    elif reasons and not order.needs_person:
        first = next(iter(reasons))
        AttentionReason.objects.filter(pk=reasons.pop(first)).update(
            resolved_at=now, resolution="Ended by the release before"
        )
        Order.objects.filter(pk=order_id).update(needs_person=next(iter(reasons), ""))
    return reasons
