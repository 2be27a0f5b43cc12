"""The promises of docs/architecture.md, checked against the database.

Every check is one set-based statement that names the rows that break its promise, so an audit takes
the same memory for a thousand orders and for a million. Of one check the statement only suspects,
and each of its rows is looked at again. The modules `gateway_audit`, `queue_audit` and
`card_numbers` check what the database alone cannot tell.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Self

from django.db import connection, transaction

from checkout.orders.states import TRANSITIONS, UNSETTLED
from checkout.orders.stock.differences import OF_ORDERS, OF_PRODUCTS
from checkout.runtime.database import lift_time_limit
from payments.books.captures import (
    NOTHING_TO_CHARGE,
    WRONG_CAPTURES,
    WRONG_PARCELS,
    is_owed,
)
from payments.books.goods import GOODS
from payments.books.invoices import (
    KNOWN_GAPS,
    NOT_INVOICED,
    WRONG_CONTENT,
    WRONG_CREDITS,
    WRONG_NUMBERS,
)
from payments.books.totals import WRONG_CODES, WRONG_PARTS, WRONG_TAXES
from payments.gateways.base import GatewayState, OutcomeUnknown
from payments.settling.settle_order import UNKNOWN_AT_MOST
from payments.states import COUNTED_REFUNDS

# If the look again at an unsettled order is overdue by this much, no publisher runs.
SWEEP_GRACE = timedelta(minutes=10)

# A check names so many rows at most, and counts all of them.
NAMED = 50


@dataclass(frozen=True)
class Check:
    invariant: str
    promise: str
    checked: str  # the table whose rows are looked at
    sql: str  # selects the row's name, and what is wrong with the row
    parameters: tuple[datetime | list[str] | str, ...] = ()
    known: str = ""  # selects what looks like a fault, and is explained
    is_fault: Callable[[str], bool] | None = None  # of the few rows that the statement suspects


@dataclass(frozen=True)
class Finding:
    """The result of one check. `rows` names what breaks the promise, empty if nothing."""

    invariant: str
    promise: str
    checked: int  # how many orders, payments or other rows were looked at
    count: int = 0
    rows: list[str] = field(default_factory=list)
    strangers: int = 0  # payments of others on the gateway's account, which were left alone
    known: list[str] = field(default_factory=list)  # what looks like a fault, and is explained

    @classmethod
    def of(cls, invariant: str, promise: str, rows: list[str], *, checked: int) -> Self:
        return cls(invariant, promise, checked=checked, count=len(rows), rows=rows[:NAMED])


PAID_STATUSES = ("paid", "partly_refunded")

# The charges, which every check may read by the name of `books`. A charge that a dispute has lost
# stays one, here as at the gateway. What is charged parcel by parcel counts as a whole: a part that
# never will be is a refund that says so.
BOOKS = """
    SELECT o.id AS order_id, o.number, p.is_surplus, taken,
           CASE WHEN p.is_surplus THEN taken ELSE taken - p.amount_minor END AS too_much,
           coalesce(sum(r.amount_minor) FILTER (WHERE r.status = 'succeeded'), 0) AS sent_back,
           (SELECT coalesce(sum(d.amount_minor), 0) FROM payments_dispute d
            WHERE d.payment_id = p.id AND d.status = 'lost') AS lost
    FROM payments_payment p
    JOIN orders_order o ON o.id = p.order_id
    CROSS JOIN LATERAL (
        SELECT CASE WHEN p.captures_later THEN greatest(p.charged_minor, p.amount_minor)
               ELSE coalesce(p.charged_minor, p.amount_minor) END AS taken
    ) t
    LEFT JOIN payments_refund r ON r.payment_id = p.id
    WHERE p.status = 'paid'
    GROUP BY o.id, p.id, t.taken
"""


def database_checks(now: datetime) -> list[Check]:
    late = now - SWEEP_GRACE
    moves = [">placed"]
    moves += [f"{source}>{target}" for source in TRANSITIONS for target in TRANSITIONS[source]]
    return [
        Check(
            "I1",
            "No checkout id has more than one order",
            "orders_order",
            """SELECT string_agg(number, ', '), 'share a checkout id' FROM orders_order
               GROUP BY checkout_id HAVING count(*) > 1""",
        ),
        Check(
            "I2",
            "No order lacks the event of its placing, or its lines",
            "orders_order",
            """SELECT o.number, 'no event of placing or no lines' FROM orders_order o
               WHERE NOT EXISTS (SELECT FROM orders_orderevent e
                                 WHERE e.order_id = o.id AND e.kind = 'transition'
                                   AND e.from_status = '' AND e.to_status = 'placed')
                  OR NOT EXISTS (SELECT FROM orders_orderline l WHERE l.order_id = o.id)""",
        ),
        Check(
            "I3",
            "No order has more than one successful payment, or one of another amount",
            "orders_order",
            """SELECT o.number, count(*) || ' paid, '
                      || sum(coalesce(p.charged_minor, p.amount_minor)) || ' for ' || o.total_minor
               FROM orders_order o JOIN payments_payment p ON p.order_id = o.id
               WHERE p.status = 'paid' AND NOT p.is_surplus GROUP BY o.id
               HAVING count(*) > 1
                   OR bool_or(p.amount_minor <> o.total_minor OR p.currency <> o.currency
                              OR p.charged_minor < o.total_minor AND NOT p.captures_later)""",
        ),
        Check(
            "I3",
            "Whatever was charged too much has been sent back",
            "payments_payment",
            """SELECT number, too_much - sent_back - lost || ' too much is still here'
               FROM books WHERE sent_back + lost < too_much""",
        ),
        Check(
            "I3",
            "No payment has more refunds than it had charges",
            "payments_payment",
            """SELECT o.number, sum(r.amount_minor) || ' of ' || p.taken
               FROM (SELECT id, order_id, CASE WHEN status <> 'paid' THEN 0
                            WHEN captures_later THEN charged_minor
                            ELSE coalesce(charged_minor, amount_minor) END AS taken
                     FROM payments_payment) p
               JOIN orders_order o ON o.id = p.order_id
               JOIN payments_refund r
                    ON r.payment_id = p.id AND r.status = ANY(%s) AND NOT r.is_release
               GROUP BY o.id, p.id, p.taken HAVING sum(r.amount_minor) > p.taken""",
            ([status.value for status in COUNTED_REFUNDS],),
        ),
        Check(
            "I4",
            "No order is paid without a payment, or has one and is not paid",
            "orders_order",
            """SELECT o.number, 'order is ' || o.status FROM orders_order o
               WHERE o.total_minor > 0
                 AND (o.status = ANY(%s)) <> EXISTS (SELECT FROM books b
                                                     WHERE b.order_id = o.id AND NOT b.is_surplus
                                                       AND b.sent_back < b.taken)""",
            (list(PAID_STATUSES),),
        ),
        Check(
            "I4",
            "An order is paid without a payment if and only if it cost nothing",
            "orders_order",
            """SELECT o.number, 'order is ' || o.status || ' and cost ' || o.total_minor
               FROM orders_order o
               WHERE CASE WHEN o.total_minor = 0
                     THEN o.status <> ALL(%s)
                          OR EXISTS (SELECT FROM books b WHERE b.order_id = o.id)
                     ELSE EXISTS (SELECT FROM orders_orderevent e
                                  WHERE e.order_id = o.id AND e.kind = 'transition'
                                    AND e.from_status = 'paid' AND e.to_status = 'cancelled')
                     END""",
            (["placed", "paid", "cancelled"],),
        ),
        Check(
            "I4",
            "Each order says how much of its price was sent back",
            "orders_order",
            """SELECT number, 'order is ' || status || ' and says ' || refunded_minor || ', '
                      || sent_back || ' of ' || price || ' was sent back'
               FROM (SELECT o.number, o.status, o.refunded_minor,
                            coalesce(b.taken - b.too_much, 0) AS price,
                            greatest(0, coalesce(b.sent_back - b.too_much, 0)) AS sent_back
                     FROM orders_order o
                     LEFT JOIN books b ON b.order_id = o.id AND NOT b.is_surplus) prices
               WHERE refunded_minor <> sent_back
                  OR (status = 'refunded') <> (price > 0 AND sent_back >= price)
                  OR (status = 'partly_refunded' AND sent_back = 0)""",
        ),
        Check(
            "I4",
            "No order waits for a person",
            "orders_order",
            """SELECT o.number, 'since ' || a.since || ': ' || a.reason
               FROM orders_attentionreason a JOIN orders_order o ON o.id = a.order_id
               WHERE a.resolved_at IS NULL
               UNION ALL
               SELECT o.number, o.needs_person FROM orders_order o
               WHERE o.needs_person <> '' AND NOT EXISTS (
                   SELECT FROM orders_attentionreason a
                   WHERE a.order_id = o.id AND a.reason = o.needs_person
                     AND a.resolved_at IS NULL)""",
        ),
        Check(
            "I4",
            "No outcome at the gateway has been unknown for 20 hours",
            "payments_payment",
            """SELECT o.number, 'round ' || p.round || ' has no outcome since ' || p.created_at
               FROM payments_payment p JOIN orders_order o ON o.id = p.order_id
               WHERE p.created_at <= %s
                 AND (p.status = 'unknown' OR p.status = 'processing' AND EXISTS (
                      SELECT FROM payments_paymentattempt a
                      WHERE a.payment_id = p.id AND a.step IN ('open', 'confirm')
                        AND (a.finished_at IS NULL OR a.outcome = ANY(%s))))""",
            (now - UNKNOWN_AT_MOST, [OutcomeUnknown.__name__, GatewayState.PROCESSING.value]),
        ),
        Check(
            "I5",
            "No unsettled order is forgotten: its sweep missing or overdue",
            "orders_order",
            """SELECT number, coalesce('sweep was due at ' || sweep_at, 'no sweep time')
               FROM orders_order
               WHERE status = ANY(%s) AND (sweep_at IS NULL OR sweep_at < %s)""",
            (sorted(UNSETTLED), now - SWEEP_GRACE),
        ),
        Check("I6", "Each order's total is the sum of its parts", "orders_order", WRONG_PARTS),
        Check("I6", "Each tax is the sum of its shares", "orders_order", WRONG_TAXES),
        Check("I6", "Each code's count is its live orders", "orders_codeuse", WRONG_CODES),
        Check(
            "I7",
            "No product's stock is negative",
            "catalogue_product",
            "SELECT sku, 'stock ' || stock FROM catalogue_product WHERE stock < 0",
        ),
        Check(
            "I7",
            "Each product's movements add up to its stock",
            "catalogue_product",
            f"""SELECT sku, 'stock ' || stock || ', movements say ' || stock - missing
                FROM ({OF_PRODUCTS}) m JOIN catalogue_product p ON p.id = m.product_id""",  # noqa: S608 - our own statement
        ),
        Check(
            "I7",
            "Each order's movements add up to what it holds",
            "orders_order",
            f"""SELECT o.number, p.sku || ': ' || missing || ' is missing from its movements'
                FROM ({OF_ORDERS}) m JOIN orders_order o ON o.id = m.order_id
                JOIN catalogue_product p ON p.id = m.product_id""",  # noqa: S608 - our own statement
        ),
        Check(
            "I7",
            "No more came back than was bought",
            "orders_order",
            """SELECT o.number, p.sku || ': ' || sum(m.change) || ' came back'
               FROM catalogue_stockmovement m JOIN orders_order o ON o.id = m.order_id
               JOIN catalogue_product p ON p.id = m.product_id
               LEFT JOIN orders_orderline l
                    ON l.order_id = m.order_id AND l.product_id = m.product_id
               WHERE m.kind = 'restocked' GROUP BY o.id, p.id, l.quantity
               HAVING sum(m.change) > coalesce(l.quantity, 0)""",
        ),
        Check(
            "I8",
            "Each order's history has allowed moves alone, and ends where the order is",
            "orders_orderevent",
            """WITH moves AS (
                   SELECT order_id, id, from_status, to_status,
                          lag(to_status, 1, '') OVER w AS before,
                          lead(id) OVER w IS NULL AS is_last
                   FROM orders_orderevent WHERE kind = 'transition'
                   WINDOW w AS (PARTITION BY order_id ORDER BY id)
               )
               SELECT o.number, m.from_status || ' → ' || m.to_status || ', order is ' || o.status
               FROM moves m JOIN orders_order o ON o.id = m.order_id
               WHERE m.from_status <> m.before
                  OR m.from_status || '>' || m.to_status <> ALL(%s)
                  OR (m.is_last AND m.to_status <> o.status)""",
            (moves,),
        ),
        Check(
            "I10",
            "No event or attempt tells who the customer is",
            "orders_orderevent",
            """WITH kept AS (
                   SELECT order_id, reason AS words FROM orders_orderevent
                   UNION ALL
                   SELECT p.order_id, a.outcome || ' ' || a.code
                   FROM payments_paymentattempt a JOIN payments_payment p ON p.id = a.payment_id
               )
               SELECT DISTINCT o.number, 'an event or attempt holds personal data'
               FROM kept t JOIN orders_order o ON o.id = t.order_id
               WHERE o.erased_at IS NULL AND (
                  strpos(lower(t.words), lower(o.email)) > 0
                  OR strpos(lower(t.words), lower(o.full_name)) > 0
                  OR strpos(lower(t.words), lower(o.address)) > 0)""",
        ),
        *(Check("I12", promise, table, sql) for promise, table, sql in GOODS),
        Check("I13", "No more is charged than was set aside", "payments_payment", WRONG_CAPTURES),
        Check(
            "I13",
            "Each order that is set aside has a payment that can be charged",
            "orders_order",
            NOTHING_TO_CHARGE,
        ),
        Check(
            "I13",
            "Each parcel is charged once",
            "orders_shipment",
            WRONG_PARCELS,
            (late, late),
            is_fault=is_owed,
        ),
        Check(
            "I11",
            "No invoice number is missing or double",
            "orders_invoice",
            WRONG_NUMBERS,
            known=KNOWN_GAPS,
        ),
        Check("I11", "Each paid order has its invoice", "orders_order", NOT_INVOICED),
        Check("I11", "What was sent back is credited, and once", "orders_invoice", WRONG_CREDITS),
        Check("I11", "Each invoice says what its order costs", "orders_invoice", WRONG_CONTENT),
    ]


def audit_database(now: datetime) -> Iterator[Finding]:
    for check in database_checks(now):
        with transaction.atomic(), connection.cursor() as cursor:
            lift_time_limit()
            cursor.execute(f"SELECT count(*) FROM {check.checked}")  # noqa: S608 - our own tables
            [(checked,)] = cursor.fetchall()
            cursor.execute(
                f"WITH books AS ({BOOKS}), found(row, wrong) AS ({check.sql}) "  # noqa: S608 - our own statements
                "SELECT row, wrong, count(*) OVER () FROM found LIMIT %s",
                [*check.parameters, None if check.is_fault else NAMED],
            )
            found = cursor.fetchall()
            count = found[0][2] if found else 0
            if check.is_fault:
                found = [row for row in found if check.is_fault(row[0])]
                count = len(found)
            known = []
            if check.known:
                cursor.execute(check.known)
                known = [row for (row,) in cursor.fetchall()]
        yield Finding(
            invariant=check.invariant,
            promise=check.promise,
            checked=checked,
            count=count,
            rows=[f"{row}: {wrong}" for row, wrong, _ in found[:NAMED]],
            known=known,
        )


def as_json(findings: list[Finding], *, orders: int, not_asked: dict[str, str]) -> str:
    report = {
        "orders": orders,
        "violations": sum(finding.count for finding in findings),
        "not_asked": not_asked,
        "checks": [asdict(finding) for finding in findings],
    }
    return json.dumps(report, indent=2)


def as_text(findings: list[Finding], *, orders: int) -> str:
    lines = []
    for finding in findings:
        verdict = f"{finding.count} VIOLATIONS" if finding.count else "ok"
        checked = f"{finding.checked} checked"
        lines.append(f"{finding.invariant:<4} {verdict:<14} {checked:>16}  {finding.promise}")
        lines += [f"      {row}" for row in finding.rows]
        lines += [f"      known: {row}" for row in finding.known]
        if finding.strangers:
            lines.append(
                f"      {finding.strangers} payments on the account are strangers' and left alone: "
                "`reconcile_payments --strangers` lists them"
            )
    return "\n".join([*lines, f"{orders} orders, {len(findings)} checks."])
