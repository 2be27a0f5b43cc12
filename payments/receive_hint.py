"""What a gateway's event leads to: it is stored together with a message to the worker, who asks the
gateway itself. So events may come twice, in any order, and from anybody who knows no more than an
id."""

import logging
from datetime import datetime, timedelta

from django.db import transaction

from checkout.orders.identity.matching import names_us, orders_named
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.outbox.sweep import look_soon
from checkout.orders.ways_to_pay.web_side import Hint
from checkout.runtime import trace
from payments.books.lost_orders import note_lost
from payments.models import Payment, WebhookEvent

logger = logging.getLogger(__name__)

# However often an unsigned hook comes, the gateway is asked only this often.
PAUSE = timedelta(seconds=2)


def receive_hint(hint: Hint, *, gateway: str, now: datetime) -> bool:
    """Store the event and have the worker ask. False when the event was received before."""
    ask_at = now if hint.is_signed else _when_to_ask(hint, now=now)
    if ask_at is None:
        return False
    with transaction.atomic():
        event, is_new = WebhookEvent.objects.get_or_create(
            event_id=hint.event_id,
            defaults={
                "kind": hint.kind,
                "is_about_dispute": hint.is_about_dispute,
                "received_at": now,
            },
        )
        if not is_new:
            return False
        order = _find_order(hint)
        if order is None:
            if names_us(hint.order):
                payment_id = next(iter(hint.payment_ids), "")
                note_lost(hint.order, gateway=gateway, gateway_payment_id=payment_id, now=now)
            extra = {"event": hint.event_id}
            logger.info("An event about no order of this shop", extra=extra)
            return True
        WebhookEvent.objects.filter(pk=event.pk).update(order=order)
        with trace.span("webhook", order.traceparent or None, order=order.number, kind=hint.kind):
            extra = {"event": hint.event_id, "kind": hint.kind, "order": order.number}
            logger.info("An event about an order was received", extra=extra)
            if hint.is_our_own:
                return True
            ask(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, at=ask_at)
            look_soon(order.pk, now=now)
    return True


def _when_to_ask(hint: Hint, *, now: datetime) -> datetime | None:
    """Anybody can send what nobody signs. So it is stored for a payment of ours alone, and has the
    gateway asked only so often: where that was just done, once more a moment later, for what the
    hint tells of may have come since. None where that is going to be asked anyway."""
    order = _find_order(hint)
    if order is None:
        return None
    checks = order.outbox_messages.filter(kind=OutboxMessage.Kind.CHECK_PAYMENT)
    if checks.filter(published_at=None, available_at__lte=now + PAUSE).exists():
        return None
    just_asked = checks.filter(published_at__isnull=False, available_at__gt=now - PAUSE).exists()
    return now + PAUSE if just_asked else now


def _find_order(hint: Hint) -> Order | None:
    """The order of the payment's id, or else of reference and installation; never of the number,
    which another shop on the account may have as well."""
    for payment_id in hint.payment_ids:
        known = Payment.objects.filter(gateway_payment_id=payment_id).select_related("order")
        if payment := known.first():
            return payment.order
    return orders_named([hint.order]).first() if names_us(hint.order) else None
