"""Issue an invoice or a credit note, in the transaction that records the payment or the refund.

A number is taken under the lock of its counter's row, which every other such transaction of the
shop waits for. So this is the last thing that a transaction does before its COMMIT: the row is
locked for one journey to the database, and no lock is taken after it that could close a circle.
Placing an order never waits for it: an order that costs nothing is not invoiced.
"""

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import connection
from psycopg.types.json import Jsonb

from checkout.orders.invoices.content import INVOICED
from checkout.orders.invoices.credit import left_to_credit
from checkout.orders.models import Invoice, Order, OrderEvent
from checkout.orders.states import PAID_FOR, OrderStatus

# `wanted` is worked out before the counter's row is locked, and has no row where nothing is to be
# issued; then no number is taken either. The sequence has six digits or more.
COUNT = """
    INSERT INTO orders_invoicecounter (series, year, last)
    SELECT %(series)s::varchar, %(year)s::int, 1 FROM wanted
    ON CONFLICT ON CONSTRAINT orders_invoicecounter_year_uniq
    DO UPDATE SET last = orders_invoicecounter.last + 1
    RETURNING last
"""
WRITE = """
    INSERT INTO orders_invoice (
        order_id, kind, series, year, sequence, number, issued_at,
        content, total_minor, currency, event_id, corrects_id
    )
    SELECT
        order_id, %(kind)s::varchar, %(series)s::varchar, %(year)s::int, last,
        concat_ws('-', %(series)s::text, %(year)s::text,
                  lpad(last::text, greatest(6, length(last::text)), '0')),
        %(now)s::timestamptz, content, total_minor, currency, event_id, corrects_id
    FROM wanted, counter
"""
# {wanted} is left for what is to be issued.
WANTED = f"wanted AS MATERIALIZED ({{wanted}}), counter AS ({COUNT})"
ISSUE = f"WITH {WANTED} {WRITE}"
# For a statement that pays an order, and issues its invoice too.
ISSUE_WITHIN = f"{WANTED}, invoice AS ({WRITE})"

# The caller holds the lock of the order, so of two transactions the later one sees what the earlier
# one issued, and takes no number.
TO_INVOICE = """
    SELECT o.id AS order_id, o.total_minor, o.currency, {content} AS content,
        (SELECT max(e.id) FROM orders_orderevent e
         WHERE e.order_id = o.id AND e.to_status = %(paid)s::varchar) AS event_id,
        NULL::bigint AS corrects_id
    FROM orders_order o
    WHERE o.id = %(order)s AND o.status = ANY(%(statuses)s::varchar[]) AND o.total_minor > 0
      AND NOT EXISTS (SELECT FROM orders_invoice i
                      WHERE i.order_id = o.id AND i.kind = %(kind)s::varchar)
"""
INVOICE = ISSUE.format(wanted=TO_INVOICE.format(content=INVOICED))

TO_CREDIT = """
    SELECT i.order_id, %(amount)s::bigint AS total_minor, i.currency,
        %(content)s::jsonb AS content, %(event)s::bigint AS event_id, i.id AS corrects_id
    FROM orders_invoice i WHERE i.id = %(invoice)s
"""
CREDIT_NOTE = ISSUE.format(wanted=TO_CREDIT)


def issue_invoice(order: Order, *, now: datetime) -> None:
    """Invoice an order that was paid, once. The caller holds its lock and takes no other after."""
    _issue_invoice(order, paid_at=now, statuses=[OrderStatus.PAID], now=now)


def issue_missing_invoice(order: Order, *, now: datetime) -> None:
    """Invoice an order that was paid without one, whatever was sent back since, and credit that. A
    release that knew no invoices may have recorded the payment. The caller holds the order's lock.
    """
    paid = order.events.filter(kind=OrderEvent.Kind.TRANSITION, to_status=OrderStatus.PAID)
    event = paid.order_by("id").last()
    if event is None:
        return
    _issue_invoice(order, paid_at=event.created_at, statuses=sorted(PAID_FOR), now=now)
    last = order.events.order_by("id").last()
    if last is not None:
        issue_credit_note(last, now=now)


def _issue_invoice(
    order: Order, *, paid_at: datetime, statuses: Sequence[OrderStatus], now: datetime
) -> None:
    if values := invoice_values(order, paid_at=paid_at, now=now):
        values |= {"order": order.pk, "paid": OrderStatus.PAID.value}
        values |= {"statuses": [status.value for status in statuses]}
        with connection.cursor() as cursor:
            cursor.execute(INVOICE, values)


def invoice_values(order: Order, *, paid_at: datetime, now: datetime) -> dict[str, Any]:
    """The parameters of a statement that issues the order's invoice. There are none where the shop
    has not said who sells: then it issues no invoices."""
    if settings.SELLER is None:
        return {}
    today = shop_day(now)
    content = {
        "version": 1,
        "seller": settings.SELLER,
        "issued_on": today.isoformat(),
        "placed_on": shop_day(order.placed_at).isoformat(),
        "paid_on": shop_day(paid_at).isoformat(),
    }
    return {
        "frozen": Jsonb(content),
        "language": settings.LANGUAGE_CODE,
        # Empty: taxed by the rates of the place that the parcel goes to.
        "taxed_in": "" if settings.TAX_BY == "destination" else settings.SHOP_COUNTRY,
        "kind": Invoice.Kind.INVOICE.value,
        "series": settings.INVOICE_SERIES,
        "year": today.year,
        "now": now,
    }


def issue_credit_note(event: OrderEvent, *, now: datetime) -> None:
    """Credit what was sent back of the price and is not credited yet. The caller holds the lock of
    the order and takes no other after."""
    if settings.SELLER is None:
        return
    today = shop_day(now)
    left = left_to_credit(event.order_id, issued_on=today)
    if left is None:
        return
    values: dict[str, Any] = {
        "event": event.pk,
        "invoice": left.invoice_id,
        "amount": left.amount_minor,
        "content": Jsonb(left.content),
        "kind": Invoice.Kind.CREDIT_NOTE.value,
        "series": settings.CREDIT_NOTE_SERIES,
        "year": today.year,
        "now": now,
    }
    with connection.cursor() as cursor:
        cursor.execute(CREDIT_NOTE, values)


def shop_day(moment: datetime) -> date:
    """The day on which something happened, by the shop's clock."""
    return moment.astimezone(ZoneInfo(settings.SHOP_TIME_ZONE)).date()
