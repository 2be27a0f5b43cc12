"""The one door through which an order changes its status."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction

from checkout.orders.mail.enqueue import queue_mail, queue_mail_about
from checkout.orders.models import AttentionReason, Mail, Order, OrderEvent, WebhookKind
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus, sources_of
from checkout.orders.webhooks.enqueue import queue_webhooks, webhook_about
from checkout.runtime.clock import database_now


def transition(
    order_id: int,
    to: OrderStatus,
    *,
    reason: str,
    now: datetime,
    sources: Collection[OrderStatus] | None = None,
    **changes: str | int,
) -> bool:
    """Move the order, and write down why, in one transaction.

    False means that the order is not where such a move starts: another process was first, or the
    order is final. That is a normal answer; the caller looks again, or leaves it. `sources` allows
    fewer starts than the table does. `changes` are fields that change with the status.
    """
    with transaction.atomic(savepoint=False):
        for source in sources_of(to):
            if sources is not None and source not in sources:
                continue
            # The WHERE is the guard: of two processes only one finds the row in this status.
            moved = Order.objects.filter(pk=order_id, status=source).update(
                status=to, status_changed_at=now, **(_follow_ups(to, now) | changes)
            )
            if moved:
                record_transition(order_id, source, to, reason=reason, now=now)
                return True
    return False


def _follow_ups(to: OrderStatus, now: datetime) -> dict[str, datetime | str | int | None]:
    expiry = timedelta(seconds=settings.UNPAID_ORDER_EXPIRES_SECONDS)
    return {
        "sweep_at": _first_sweep(to, now),
        "expires_at": now + expiry if to in EXPIRING else None,
        "action_url": "",
    }


def record_transition(
    order_id: int,
    source: OrderStatus | None,
    to: OrderStatus,
    *,
    reason: str,
    now: datetime,
    is_mailed: bool = True,
) -> None:
    event = OrderEvent.objects.create(
        order_id=order_id,
        kind=OrderEvent.Kind.TRANSITION,
        from_status=source or "",
        to_status=to,
        reason=reason,
        created_at=now,
    )
    if is_mailed:
        queue_mail_about(source, to, event, now=now)
    if webhook := webhook_about(source, to):
        queue_webhooks(webhook, event, now=now)


def pay_with_nothing(order: Order, *, now: datetime) -> bool:
    """Pay an order that costs nothing: no gateway is asked. False when somebody has been first."""
    return order.is_free and transition(
        order.pk,
        OrderStatus.PAID,
        sources=[OrderStatus.PLACED],
        reason="Nothing was to be paid",
        now=now,
    )


def note(order_id: int, reason: str, *, now: datetime) -> OrderEvent:
    """Something that support should know of, and that does not change the status."""
    return OrderEvent.objects.create(
        order_id=order_id, kind=OrderEvent.Kind.NOTE, reason=reason[:200], created_at=now
    )


def note_staff(order_id: int, what: str, *, by: str, why: str, now: datetime) -> OrderEvent:
    """What a person did, who they are and their reason."""
    return OrderEvent.objects.create(
        order_id=order_id,
        kind=OrderEvent.Kind.STAFF,
        reason=what[:200],
        actor=by,
        explanation=why[:1000],
        created_at=now,
    )


@contextmanager
def noting_refund(
    order_id: int, reason: str, *, amount_minor: int, now: datetime, came_back: bool = False
) -> Iterator[None]:
    """Money was sent back, or has come back from there; inside, its order follows. Told for each
    refund: the second part of one order's money moves its status no more than a charge too many
    does."""
    mail, webhook = Mail.Kind.REFUNDED, WebhookKind.REFUNDED
    if came_back:
        mail, webhook = Mail.Kind.REFUND_FAILED, WebhookKind.REFUND_FAILED
    with transaction.atomic(savepoint=False):
        event = note(order_id, reason, now=now)
        queue_mail(mail, event, now=now, amount_minor=amount_minor)
        yield
        queue_webhooks(webhook, event, now=now, amount_minor=amount_minor)


def put_before_a_person(order_id: int, why: str, *, now: datetime) -> None:
    """Have a person look at the order for this reason, beside whatever they must look for already.
    While the reason is open, saying so again adds nothing. `attention.reasons` says what ends it.
    """
    with transaction.atomic():
        reasons = _locked_open_reasons(order_id, now)
        if why in reasons:
            return
        AttentionReason.objects.create(order_id=order_id, reason=why, since=now)
        if not reasons:
            Order.objects.filter(pk=order_id).update(needs_person=why)
        note(order_id, f"A person must look: {why}", now=now)


def resolved(
    order_id: int, why: str, *, by: str = "", how: str = "", now: datetime | None = None
) -> bool:
    """Nobody need look for this reason any more; others stay open. False where it was not open.
    `by` names the person who said so, and is empty where an event ended the reason."""
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

    The release before this one knows the column alone. A reason that stands only there gets its
    row; and when the column is empty, that release has ended the reason that had stood there.
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


def next_sweep(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.SWEEP_AFTER_SECONDS)


# A customer who has answered their bank should not read for long that the shop waits for them,
# also where neither their return nor the gateway's webhook reached it.
FIRST_LOOK_AT_BANK_SECONDS = 60.0


def next_look_at_bank(asked_at: datetime, now: datetime) -> datetime:
    """When to ask the gateway about an order that waits for its customer at the bank: after a
    minute, and each time after twice as long, up to the pace of the sweep."""
    waited = (now - asked_at).total_seconds()
    pause = min(max(waited, FIRST_LOOK_AT_BANK_SECONDS), settings.SWEEP_AFTER_SECONDS)
    return now + timedelta(seconds=pause)


def _first_sweep(to: OrderStatus, now: datetime) -> datetime | None:
    if to not in UNSETTLED:
        return None
    return next_look_at_bank(now, now) if to == OrderStatus.ACTION_REQUIRED else next_sweep(now)
