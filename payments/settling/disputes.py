"""Disputes as the gateway tells them: written down, put before a person, and ended by its word.

A charge that is disputed or lost stays a charge, here as at the gateway, and its order stays paid.
What was lost is written beside it, as refunds are, and can be refunded no more.
"""

import logging
from datetime import datetime

from django.db import transaction

from checkout.catalogue.money import show_money
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import DISPUTED
from checkout.orders.history import note
from checkout.orders.models import Order, OrderEvent, WebhookKind
from checkout.orders.webhooks.enqueue import queue_webhooks
from payments.gateways.base import GatewayDispute
from payments.models import Dispute, Payment
from payments.settling.disputed_money import is_money_held
from payments.settling.gateway_calls import Calls
from payments.settling.lock_order import lock_order
from payments.states import BLOCKING_DISPUTES, OPEN_DISPUTES, DisputeStatus

logger = logging.getLogger(__name__)


def may_have_news(order: Order) -> bool:
    """The gateway has told of a dispute, or one is open. The daily commands see the rest."""
    return (
        order.webhook_events.filter(is_about_dispute=True).exists()
        or Dispute.objects.filter(payment__order=order, closed_at=None).exists()
    )


def record_disputes(payment: Payment, calls: Calls) -> None:
    for theirs in calls.disputes_of(payment):
        record_dispute(payment, theirs, now=calls.clock())


def record_dispute(payment: Payment, theirs: GatewayDispute, *, now: datetime) -> bool:
    """Write down what the gateway says of the dispute now. False when that was known."""
    status = DisputeStatus(theirs.state.value)
    is_open = status in OPEN_DISPUTES
    facts = {"status": status, "amount_minor": theirs.amount_minor, "due_at": theirs.due_at}
    with transaction.atomic():
        lock_order(payment)
        dispute = Dispute.objects.filter(gateway_dispute_id=theirs.id).first()
        was_open = dispute is not None and dispute.closed_at is None
        before = dispute.status if dispute else None
        if dispute is None:
            dispute = Dispute(
                payment=payment,
                gateway_dispute_id=theirs.id,
                currency=theirs.currency,
                reason=theirs.reason[:60],
                opened_at=theirs.opened_at,
            )
        elif all(getattr(dispute, name) == value for name, value in facts.items()):
            return False
        for name, value in facts.items():
            setattr(dispute, name, value)
        dispute.closed_at = None if is_open else now
        dispute.save()
        is_held = is_money_held(payment.order_id)
        Order.objects.filter(pk=payment.order_id).exclude(is_held=is_held).update(is_held=is_held)
        event = _say(dispute, now=now)
        if _is_news(before, status):
            queue_webhooks(WebhookKind.DISPUTED, event, now=now, more=_told(dispute))
        if is_open and not was_open:
            put_before_a_person(payment.order_id, DISPUTED, now=now)
        elif not Dispute.objects.filter(payment__order=payment.order_id, closed_at=None).exists():
            end_reason(payment.order_id, DISPUTED, now=now)
    return True


def _is_news(before: str | None, status: DisputeStatus) -> bool:
    """Whether the shop's other systems are told: when a dispute opens, when an inquiry becomes one
    that holds the money, and when either is decided. The shop's own answer is no news to it."""
    is_held_as_before = before in BLOCKING_DISPUTES and status in BLOCKING_DISPUTES
    return before != status and not is_held_as_before


def _told(dispute: Dispute) -> dict[str, object]:
    about = {
        "id": dispute.gateway_dispute_id,
        "status": dispute.status,
        "amount_minor": dispute.amount_minor,
        "reason": dispute.reason,
    }
    return {"dispute": about}


def _say(dispute: Dispute, *, now: datetime) -> OrderEvent:
    what = f"Dispute of {show_money(dispute.amount)}: {dispute.get_status_display().lower()}"
    event = note(dispute.payment.order_id, what, now=now)
    logger.log(
        logging.WARNING if dispute.closed_at is None else logging.INFO,
        "A charge is disputed by its customer's bank",
        extra={
            "order": dispute.payment.order.number,
            "payment": dispute.payment.gateway_payment_id,
            "status": dispute.status,
        },
    )
    return event
