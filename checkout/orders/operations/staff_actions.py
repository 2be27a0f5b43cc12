"""What support and operators may do to an order by hand. Each act takes the usual way: through the
outbox to the worker, which asks the gateway first, or to the sender of webhooks. Nothing here moves
money itself. Each answers with a sentence for the person who asked.
"""

from collections.abc import Iterable
from datetime import datetime

from django.db import transaction
from django.db.models.functions import Now

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import end_reason
from checkout.orders.cancelling import (
    can_be_cancelled,
    cancel_free,
    is_held_by_a_bank,
    note_canceller,
)
from checkout.orders.history import note_staff
from checkout.orders.models import Order, OrderEvent, OutboxMessage, WebhookDelivery
from checkout.orders.outbox.enqueue import make_due, publish_again
from checkout.orders.states import UNSETTLED, Canceller
from checkout.runtime.claiming import ANEW
from checkout.runtime.clock import database_now

# The words of the event in whose explanation a note stands.
NOTE = "Note"


def retry_now(order: Order, *, by: str, why: str, now: datetime) -> str:
    """Have the worker look at the order at once.

    Its payment is settled, or the gateway is asked about all payments; both are safe at any time.
    """
    kind = (
        OutboxMessage.Kind.SETTLE_PAYMENT
        if order.status in UNSETTLED
        else OutboxMessage.Kind.CHECK_PAYMENT
    )
    return _publish(order, kind, "Retried by hand", by=by, why=why, now=now)


def put_back_dead_letter(order: Order, *, by: str, why: str, now: datetime) -> str:
    """Publish the order's message anew, whatever became of the dead letter.

    The letter itself stays: `manage.py dead_letters redrive` finds that a newer message is on its
    way, and only removes the letter.
    """
    if order.status not in UNSETTLED:
        raise ActionImpossible("This order waits for no message any more.")
    return _publish(
        order,
        OutboxMessage.Kind.SETTLE_PAYMENT,
        "Put back from the dead-letter queue",
        by=by,
        why=why,
        now=now,
    )


def ask_to_cancel(order: Order, *, by: str, why: str, now: datetime) -> str:
    """Have the worker cancel an order that waits for its customer: at the gateway first. Should a
    payment win that race, the order is paid."""
    if order.is_free:
        return _cancel_free(order, by=by, why=why, now=now)
    if is_held_by_a_bank(order):
        raise ActionImpossible(
            "The customer's bank disputes a charge of this order. What becomes of the order waits "
            "until the bank has decided."
        )
    if not can_be_cancelled(order):
        raise ActionImpossible(
            "Only an order that waits for its customer can be cancelled. One that is being paid is "
            "decided by its payment; of a paid one the money can be sent back."
        )
    with transaction.atomic():
        message = _publish(
            order, OutboxMessage.Kind.CANCEL_ORDER, "Cancelled by hand", by=by, why=why, now=now
        )
        note_canceller(order.pk, Canceller.STAFF)
    return message


def seen_to(order: Order, reasons: Iterable[str], *, by: str, why: str, now: datetime) -> str:
    ended = [reason for reason in reasons if end_reason(order.pk, reason, by=by, how=why, now=now)]
    if not ended:
        return "That was resolved meanwhile; nothing was left to see to."
    return "Written down. Nobody need look for that any more."


def add_note(order: Order, *, seen: int, by: str, why: str, now: datetime) -> str:
    """Write something down about an order. `seen` is the last event that the page showed: a page
    that is submitted twice writes one note."""
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)
        same = order.events.filter(kind=OrderEvent.Kind.STAFF, reason=NOTE, actor=by, pk__gt=seen)
        if same.filter(explanation=why).exists():
            return "This was written down before; nothing was added."
        note_staff(order.pk, NOTE, by=by, why=why, now=now)
    return "Written down."


def _cancel_free(order: Order, *, by: str, why: str, now: datetime) -> str:
    with transaction.atomic():
        if not cancel_free(order, reason="Cancelled by hand", now=now):
            raise ActionImpossible("It is cancelled already, or was never placed in full.")
        note_staff(order.pk, "Cancelled by hand", by=by, why=why, now=now)
    return "The order is cancelled, and its goods are on sale again. It had cost nothing."


def tell_again(delivery: WebhookDelivery, *, by: str, why: str, now: datetime) -> str:
    """Send a webhook once more, at once. A system that knows its webhook-id can tell."""
    if delivery.endpoint.removed_at:
        raise ActionImpossible("This endpoint was removed.")
    if not delivery.endpoint.is_active:
        raise ActionImpossible(
            "This endpoint is switched off, so nothing would go there; "
            "`manage.py webhook_endpoints enable` switches it on."
        )
    with transaction.atomic():
        # The WHERE is the guard: of two who press at once, the second finds it due already.
        row = WebhookDelivery.objects.filter(pk=delivery.pk).exclude(claimed_until__gt=Now())
        wanted = row.exclude(sent_at=None, gave_up_at=None, available_at__lte=now)
        if not wanted.update(**ANEW, wanted_since=now, available_at=now):
            return "That is on its way already; nothing was added."
        before = delivery.sent_at
        heard = f", delivered before on {before:%Y-%m-%d %H:%M:%S} UTC" if before else ""
        note_staff(
            delivery.order_id, f"Webhook sent again: {delivery}{heard}", by=by, why=why, now=now
        )
    return "It goes out within seconds. Its page shows what comes of it."


def _publish(
    order: Order, kind: OutboxMessage.Kind, what: str, *, by: str, why: str, now: datetime
) -> str:
    with transaction.atomic():
        # Two people who press at once take turns, and the second finds the first one's message.
        Order.objects.select_for_update().get(pk=order.pk)
        # The first one's message is due at a time before this one's turn, whoever pressed first.
        now = max(now, database_now())
        if not (make_due(order.pk, kind, now=now) or publish_again(order.pk, kind, now=now)):
            return "That is on its way already; nothing was added."
        note_staff(order.pk, what, by=by, why=why, now=now)
    return "The worker has been told. This page shows what comes of it."
