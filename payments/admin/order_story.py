"""What happened to one order, oldest first, from everything that is written down about it.

This is for support and operators; what the customer reads is in checkout/views/order/timeline.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from checkout.catalogue.money import money, show_money
from checkout.orders.models import (
    Invoice,
    Mail,
    Order,
    OrderEvent,
    OutboxMessage,
    WebhookDelivery,
)
from checkout.orders.money.parts import parts_for_staff
from checkout.orders.states import OrderStatus
from payments.models import Capture, Dispute, Payment, PaymentAttempt, Refund, WebhookEvent

# So many records of each kind. A shopper's broken program may send one purchase a thousand times.
AT_MOST = 300


@dataclass(frozen=True, kw_only=True)
class Entry:
    at: datetime
    source: str  # shop, staff, queue, worker, gateway, webhook, mail, refund, invoice, system
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


def story(order: Order, at_most: int | None = AT_MOST) -> Story:
    """The same number of statements for any order, and at most `at_most` records of each kind."""
    found: list[Entry] = []
    left_out = 0
    for rows_of, entries in PARTS:
        rows = rows_of(order).order_by("id")
        kept = list(rows if at_most is None else rows[: at_most + 1])
        if at_most is not None and len(kept) > at_most:
            left_out += rows.count() - at_most
        for row in kept[:at_most]:
            found.extend(entries(row))
    return Story(sorted(found, key=lambda entry: entry.at), left_out)


def _event(event: OrderEvent) -> Iterator[Entry]:
    what, detail = event.reason, event.explanation
    if shipment := getattr(event, "shipment", None):
        detail = _joined(shipment.method, shipment.tracking_number, detail)
    if event.kind == OrderEvent.Kind.TRANSITION:
        what = f"{OrderStatus(event.to_status).label}: {event.reason}"
        if not event.from_status:
            detail = _joined(detail, " · ".join(parts_for_staff(event.order)))
    yield Entry(
        at=event.created_at,
        source="staff" if event.kind == OrderEvent.Kind.STAFF else "shop",
        what=what,
        detail=detail,
        by=event.actor,
    )


def _message(message: OutboxMessage) -> Iterator[Entry]:
    name, at, detail = message.get_kind_display(), message.published_at, ""
    if at:
        again = f"for the {message.generation}. time" if message.generation > 1 else ""
        detail = _joined(again, f"trace {message.trace_id}" if message.trace_id else "")
    what = f"Published: {name}" if at else f"Waits to be published: {name}"
    yield Entry(at=at or message.available_at, source="queue", what=what, detail=detail)


def _payment(payment: Payment) -> Iterator[Entry]:
    yield Entry(
        at=payment.created_at,
        source="worker",
        what=f"Received by a worker: payment {payment.round} of {show_money(payment.amount)}",
        detail=payment.gateway_payment_id,
    )


def _attempt(attempt: PaymentAttempt) -> Iterator[Entry]:
    took = attempt.finished_at - attempt.started_at if attempt.finished_at else None
    yield Entry(
        at=attempt.started_at,
        source="gateway",
        what=f"{attempt.get_step_display()}: {attempt.outcome or 'no answer was recorded'}",
        detail=_joined(attempt.code, f"payment {attempt.payment.round}"),
        took_ms=round(took.total_seconds() * 1000) if took else None,
    )


def _capture(capture: Capture) -> Iterator[Entry]:
    what = f"Charge of {show_money(capture.amount)} for a parcel"
    outcome = f"{what}: {capture.get_status_display()}"
    yield Entry(
        at=capture.created_at, source="gateway", what=what if capture.settled_at else outcome
    )
    if capture.settled_at:
        yield Entry(at=capture.settled_at, source="gateway", what=outcome, detail=capture.failure)


def _refund(refund: Refund) -> Iterator[Entry]:
    amount = show_money(refund.amount)
    what = f"{amount} is not to be charged" if refund.is_release else f"Refund of {amount}"
    outcome = f"{what}: {refund.get_status_display()}"
    yield Entry(
        at=refund.created_at,
        source="refund",
        what=what if refund.settled_at else outcome,
        detail=refund.reason,
        by=refund.requested_by.get_username() if refund.requested_by else "",
    )
    if refund.settled_at:
        detail = refund.failure or refund.gateway_refund_id
        yield Entry(at=refund.settled_at, source="refund", what=outcome, detail=detail)


def _dispute(dispute: Dispute) -> Iterator[Entry]:
    amount = show_money(dispute.amount)
    due = f"answer by {dispute.due_at:%d %b %Y %H:%M} UTC" if dispute.due_at else ""
    yield Entry(
        at=dispute.opened_at,
        source="dispute",
        what=f"The customer's bank disputes {amount}",
        detail=_joined(dispute.reason, due, dispute.gateway_dispute_id),
    )
    if dispute.closed_at:
        what = f"Dispute of {amount}: {dispute.get_status_display()}"
        yield Entry(at=dispute.closed_at, source="dispute", what=what)


def _webhook(event: WebhookEvent) -> Iterator[Entry]:
    yield Entry(at=event.received_at, source="webhook", what=event.kind, detail=event.event_id)


def _mail(mail: Mail) -> Iterator[Entry]:
    at, what = _how_far(mail, sent="Sent", waits="Waits to be sent")
    what = f"{what}: {mail.get_kind_display()}"
    yield Entry(at=at, source="mail", what=what, detail=_tries(mail))


def _delivery(delivery: WebhookDelivery) -> Iterator[Entry]:
    at, what = _how_far(delivery, sent="Told", waits="Waits to be told")
    yield Entry(
        at=at,
        source="system",
        what=f"{what}: {delivery}",
        detail=_joined(_tries(delivery), delivery.outcome),
        took_ms=delivery.last_took_ms,
    )


def _how_far(row: Mail | WebhookDelivery, *, sent: str, waits: str) -> tuple[datetime, str]:
    if row.sent_at:
        return row.sent_at, sent
    return (row.gave_up_at, "Given up") if row.gave_up_at else (row.available_at, waits)


def _tries(row: Mail | WebhookDelivery) -> str:
    return f"tried {row.tries} ×" if row.tries else ""


def _joined(*details: str) -> str:
    return ", ".join(filter(None, details))


def _invoice(invoice: Invoice) -> Iterator[Entry]:
    amount = show_money(money(invoice.total_minor, invoice.currency))
    what = f"{invoice.get_kind_display()} {invoice.number} of {amount}"
    yield Entry(at=invoice.issued_at, source="invoice", what=what)


# The kinds of records of an order, and what is shown of each.
PARTS: list[tuple[Callable[[Order], QuerySet[Any]], Callable[[Any], Iterator[Entry]]]] = [
    (
        lambda order: order.events.exclude(kind=OrderEvent.Kind.MAILED).select_related("shipment"),
        _event,
    ),
    (lambda order: order.outbox_messages.all(), _message),
    (lambda order: order.payments.all(), _payment),
    (
        lambda order: PaymentAttempt.objects.filter(payment__order=order).select_related("payment"),
        _attempt,
    ),
    (
        lambda order: Capture.objects.filter(payment__order=order).select_related("payment"),
        _capture,
    ),
    (
        lambda order: Refund.objects.filter(payment__order=order).select_related(
            "payment", "requested_by"
        ),
        _refund,
    ),
    (lambda order: order.webhook_events.all(), _webhook),
    (lambda order: order.mails.all(), _mail),
    (lambda order: Dispute.objects.filter(payment__order=order), _dispute),
    (lambda order: order.invoices.all(), _invoice),
    (lambda order: order.webhook_deliveries.select_related("endpoint"), _delivery),
]
