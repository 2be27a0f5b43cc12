"""What happened to one order, oldest first, from everything that is written down about it.

This is for support and operators; what the customer reads is in checkout/views/timeline.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from checkout.catalogue.templatetags.money import show_money
from checkout.orders.models import Order, OrderEvent, WebhookDelivery
from checkout.orders.states import OrderStatus
from payments.models import Dispute, PaymentAttempt, Refund

# So many records of each kind. A shopper's broken program may send one purchase a thousand times.
AT_MOST = 300


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: datetime
    source: str  # shop, staff, queue, worker, gateway, webhook, mail, refund, system
    what: str
    detail: str = ""
    by: str = ""
    took_ms: int | None = None

    def as_json(self) -> dict[str, Any]:
        return asdict(self) | {"at": self.at.isoformat(timespec="milliseconds")}


@dataclass(frozen=True)
class Story:
    entries: list[Entry]
    left_out: int  # further records of kinds that come by the hundred


Part = tuple[QuerySet[Any], Callable[[Any], Iterator[Entry]]]


def story(order: Order, at_most: int | None = AT_MOST) -> Story:
    """The same number of statements for any order, and at most `at_most` records of each kind."""
    parts = [_events, _messages, _payments, _attempts, _refunds, _webhooks, _mails]
    parts += [_disputes, _told_to_systems]
    found: list[Entry] = []
    left_out = 0
    for part in parts:
        rows, entries = part(order)
        kept = list(rows if at_most is None else rows[: at_most + 1])
        if at_most is not None and len(kept) > at_most:
            left_out += rows.count() - at_most
        for row in kept[:at_most]:
            found.extend(entries(row))
    return Story(sorted(found, key=lambda entry: entry.at), left_out)


def _events(order: Order) -> Part:
    def entries(event: OrderEvent) -> Iterator[Entry]:
        what = event.reason
        if event.kind == OrderEvent.Kind.TRANSITION:
            what = f"{OrderStatus(event.to_status).label}: {event.reason}"
        staff = event.kind == OrderEvent.Kind.STAFF
        yield Entry(
            at=event.created_at,
            source="staff" if staff else "shop",
            what=what,
            detail=event.explanation,
            by=event.actor,
        )

    return order.events.exclude(kind=OrderEvent.Kind.MAILED).order_by("id"), entries


def _messages(order: Order) -> Part:
    def entries(message: Any) -> Iterator[Entry]:
        name = message.get_kind_display()
        if message.published_at:
            again = f"for the {message.generation}. time" if message.generation > 1 else ""
            trace = f"trace {message.trace_id}" if message.trace_id else ""
            yield Entry(
                at=message.published_at,
                source="queue",
                what=f"Published: {name}",
                detail=", ".join(filter(None, [again, trace])),
            )
        else:
            yield Entry(
                at=message.available_at, source="queue", what=f"Waits to be published: {name}"
            )

    return order.outbox_messages.order_by("id"), entries


def _payments(order: Order) -> Part:
    def entries(payment: Any) -> Iterator[Entry]:
        yield Entry(
            at=payment.created_at,
            source="worker",
            what=f"Received by a worker: payment {payment.round} of {show_money(payment.amount)}",
            detail=payment.gateway_payment_id,
        )

    return order.payments.order_by("id"), entries


def _attempts(order: Order) -> Part:
    def entries(attempt: PaymentAttempt) -> Iterator[Entry]:
        took = attempt.finished_at - attempt.started_at if attempt.finished_at else None
        yield Entry(
            at=attempt.started_at,
            source="gateway",
            what=f"{attempt.get_step_display()}: {attempt.outcome or 'no answer was recorded'}",
            detail=", ".join(filter(None, [attempt.code, f"payment {attempt.payment.round}"])),
            took_ms=round(took.total_seconds() * 1000) if took else None,
        )

    attempts = PaymentAttempt.objects.filter(payment__order=order).order_by("id")
    return attempts.select_related("payment"), entries


def _refunds(order: Order) -> Part:
    def entries(refund: Refund) -> Iterator[Entry]:
        by = refund.requested_by.get_username() if refund.requested_by else ""
        amount = show_money(refund.amount)
        is_open = refund.settled_at is None
        yield Entry(
            at=refund.created_at,
            source="refund",
            what=f"Refund of {amount}" + (f": {refund.get_status_display()}" if is_open else ""),
            detail=refund.reason,
            by=by,
        )
        if refund.settled_at:
            yield Entry(
                at=refund.settled_at,
                source="refund",
                what=f"Refund of {amount}: {refund.get_status_display()}",
                detail=refund.failure or refund.gateway_refund_id,
            )

    refunds = Refund.objects.filter(payment__order=order).order_by("id")
    return refunds.select_related("payment", "requested_by"), entries


def _disputes(order: Order) -> Part:
    def entries(dispute: Dispute) -> Iterator[Entry]:
        amount = show_money(dispute.amount)
        due = f"answer by {dispute.due_at:%d %b %Y %H:%M} UTC" if dispute.due_at else ""
        yield Entry(
            at=dispute.opened_at,
            source="dispute",
            what=f"The customer's bank disputes {amount}",
            detail=", ".join(filter(None, [dispute.reason, due, dispute.gateway_dispute_id])),
        )
        if dispute.closed_at:
            yield Entry(
                at=dispute.closed_at,
                source="dispute",
                what=f"Dispute of {amount}: {dispute.get_status_display()}",
            )

    disputes = Dispute.objects.filter(payment__order=order).order_by("id")
    return disputes, entries


def _webhooks(order: Order) -> Part:
    def entries(event: Any) -> Iterator[Entry]:
        yield Entry(at=event.received_at, source="webhook", what=event.kind, detail=event.event_id)

    return order.webhook_events.order_by("id"), entries


def _mails(order: Order) -> Part:
    def entries(mail: Any) -> Iterator[Entry]:
        name, tries = mail.get_kind_display(), f"tried {mail.tries} ×" if mail.tries else ""
        if mail.sent_at:
            yield Entry(at=mail.sent_at, source="mail", what=f"Sent: {name}", detail=tries)
        elif mail.gave_up_at:
            yield Entry(at=mail.gave_up_at, source="mail", what=f"Given up: {name}", detail=tries)
        else:
            yield Entry(
                at=mail.available_at, source="mail", what=f"Waits to be sent: {name}", detail=tries
            )

    return order.mails.order_by("id"), entries


def _told_to_systems(order: Order) -> Part:
    """The shop's other systems are told by webhooks."""

    def entries(delivery: WebhookDelivery) -> Iterator[Entry]:
        tries = f"tried {delivery.tries} ×" if delivery.tries else ""
        detail = ", ".join(filter(None, [tries, delivery.outcome]))
        if delivery.sent_at:
            at, what = delivery.sent_at, "Told"
        elif delivery.gave_up_at:
            at, what = delivery.gave_up_at, "Given up"
        else:
            at, what = delivery.available_at, "Waits to be told"
        yield Entry(
            at=at,
            source="system",
            what=f"{what}: {delivery}",
            detail=detail,
            took_ms=delivery.last_took_ms,
        )

    return order.webhook_deliveries.select_related("endpoint").order_by("id"), entries
