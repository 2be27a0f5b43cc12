"""The last step of most settlements in one statement: the first card was charged what the order
costs. Payment, order, event, mail, webhooks and invoice are stored, and the end of the last call.

Everything or nothing is stored. Nothing is where the order or its payment is not as it mostly is:
another worker or a webhook was first, a person has to look at the order, it was cancelled, or it
has further payments. `outcomes.record_success` then goes the longer way, which does the same row by
row. A test holds the two against each other.

One statement sees one moment, which is before it waits for a lock. So the order is locked before it
is believed, and what follows is made of its row as it is after the wait (PostgreSQL docs, "Read
Committed Isolation Level"). Locks are taken in the order of `lock_order`: the number of the invoice
waits for the event, and the event for order and payment.

For the sake of speed this statement writes an event, a mail and webhooks beside the modules that
otherwise write them (`history`, `mail.enqueue` and `webhooks.enqueue`).
"""

from datetime import datetime

from django.conf import settings
from django.db import connection

from checkout.orders.invoices.content import INVOICED
from checkout.orders.invoices.issue import ISSUE_WITHIN, invoice_values
from checkout.orders.mail.enqueue import mail_about
from checkout.orders.models import OrderEvent
from checkout.orders.states import OrderStatus
from checkout.orders.webhooks.enqueue import webhook_about
from payments.models import Payment
from payments.settling.steps.before_call import END_CALL, Ended, ended_values
from payments.states import PaymentStatus, sources_of

# The order's event is a row of this statement, which no other part of it can see in the table.
TO_INVOICE = """
    SELECT o.id AS order_id, o.total_minor, o.currency, {content} AS content,
        event.id AS event_id, NULL::bigint AS corrects_id
    FROM paid o, event
    WHERE o.total_minor > 0
        AND NOT EXISTS (SELECT FROM orders_invoice i
                        WHERE i.order_id = o.id AND i.kind = %(kind)s::varchar)
"""
ISSUE_INVOICE = f", {ISSUE_WITHIN.format(wanted=TO_INVOICE.format(content=INVOICED))}"

PAID = """
WITH locked AS MATERIALIZED (
    SELECT id FROM orders_order
    WHERE id = %(order)s AND status = %(placed)s AND needs_person = ''
        AND payment_round = %(round)s
    FOR UPDATE
),
settled AS (
    UPDATE payments_payment p
    SET status = %(paid)s, settled_at = %(now)s, charged_minor = amount_minor,
        lease_token = NULL, lease_until = NULL, lease_owner = ''
    FROM locked
    WHERE p.id = %(payment)s AND p.order_id = locked.id AND p.status = ANY(%(sources)s::varchar[])
        AND NOT EXISTS (SELECT FROM payments_payment other
                        WHERE other.order_id = locked.id AND other.id <> p.id)
    RETURNING p.order_id
),
paid AS (
    UPDATE orders_order o
    SET status = %(order_paid)s, status_changed_at = %(now)s, sweep_at = NULL,
        expires_at = NULL, action_url = '', cancelled_by = ''
    FROM settled WHERE o.id = settled.order_id AND o.status = %(placed)s
    RETURNING o.*
),
ended AS ({end_call} AND EXISTS (SELECT FROM paid)),
event AS (
    INSERT INTO orders_orderevent (order_id, kind, from_status, to_status, reason, created_at, told)
    SELECT id, %(event)s::varchar, %(placed)s::varchar, %(order_paid)s::varchar,
        %(reason)s::varchar, %(now)s::timestamptz,
        jsonb_build_object(
            'kind', %(webhook)s::text, 'status', status, 'refunded_minor', refunded_minor,
            'amount_minor', NULL::bigint, 'dispatch_status', dispatch_status)
    FROM paid
    RETURNING id, order_id
),
mail AS (
    INSERT INTO orders_mail (order_id, event_id, kind, message_id, available_at, tries)
    SELECT order_id, id, %(mail)s::varchar, gen_random_uuid(), %(now)s::timestamptz, 0 FROM event
),
webhooks AS (
    INSERT INTO orders_webhookdelivery (order_id, event_id, endpoint_id, kind, status,
        refunded_minor, webhook_id, wanted_since, available_at)
    SELECT event.order_id, event.id, e.id, %(webhook)s::varchar, paid.status, paid.refunded_minor,
        gen_random_uuid(), %(now)s::timestamptz, %(now)s::timestamptz
    FROM event, paid, orders_webhookendpoint e
    WHERE e.removed_at IS NULL AND %(webhook)s::varchar = ANY (e.kinds)
)
{issue}
SELECT placed_at FROM paid
"""


def store_paid(
    payment: Payment, ended: Ended | None, *, reason: str, now: datetime
) -> datetime | None:
    """When the order was placed. None: nothing was stored, and the longer way finds out why."""
    if settings.SHOP_ORDERS_EMAIL:
        return None  # the shop is told by an event and a mail more
    values = {
        **ended_values(ended),
        "order": payment.order_id,
        "payment": payment.pk,
        "round": payment.round,
        "sources": [source.value for source in sources_of(PaymentStatus.PAID)],
        "paid": PaymentStatus.PAID.value,
        "placed": OrderStatus.PLACED.value,
        "order_paid": OrderStatus.PAID.value,
        "event": OrderEvent.Kind.TRANSITION.value,
        "reason": reason,
        "mail": mail_about(OrderStatus.PLACED, OrderStatus.PAID),
        "webhook": webhook_about(OrderStatus.PLACED, OrderStatus.PAID),
        "now": now,
    }
    invoice = invoice_values(payment.order, paid_at=now, now=now)
    statement = PAID.format(end_call=END_CALL, issue=ISSUE_INVOICE if invoice else "")
    with connection.cursor() as cursor:
        cursor.execute(statement, {**values, **invoice})
        stored = cursor.fetchone()
    return stored[0] if stored else None
