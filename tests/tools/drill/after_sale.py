"""What the shop promised about parcels, returns, refunds, invoices and mails."""

from collections import Counter, defaultdict
from collections.abc import Iterable
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import psycopg

from config.local.crowd.comparison import Promise
from config.local.crowd.records import lines_of

# Lines of which more is out of the house or called off than was ordered, or whose numbers are not
# what the rows of parcels and returns add up to.
SENT_TOO_OFTEN = """
    SELECT o.number, l.sku, l.quantity, coalesce(sent, 0), l.called_off
    FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
    LEFT JOIN (
        SELECT sl.line_id, sum(sl.quantity) AS sent
        FROM orders_shipmentline sl JOIN orders_shipment s ON s.id = sl.shipment_id
        WHERE s.undone_at IS NULL GROUP BY sl.line_id
    ) parcels ON parcels.line_id = l.id
    WHERE coalesce(sent, 0) + l.called_off > l.quantity OR coalesce(sent, 0) <> l.shipped
"""

# Parcels that left after all of the money was asked back, or after the order was cancelled. Each
# act writes its event under the order's lock, so the events' ids are the order of the acts.
SENT_AFTERWARDS = """
    WITH asked AS (
        SELECT p.order_id,
            sum(r.amount_minor) OVER w AS so_far, row_number() OVER w AS place
        FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id
        WHERE NOT p.is_surplus AND NOT r.is_release
        WINDOW w AS (PARTITION BY p.order_id ORDER BY r.id)
    ), said AS (
        SELECT order_id, id, row_number() OVER (PARTITION BY order_id ORDER BY id) AS place
        FROM orders_orderevent WHERE reason LIKE 'Refund of % asked for%'
    ), ends AS (
        SELECT said.order_id, said.id FROM asked JOIN said USING (order_id, place)
        JOIN orders_order o ON o.id = asked.order_id WHERE so_far >= o.total_minor
        UNION ALL
        SELECT order_id, id FROM orders_orderevent
        WHERE reason LIKE '%, after it was paid' OR reason LIKE '%, before it was charged'
    )
    SELECT DISTINCT o.number, s.id FROM ends JOIN orders_order o ON o.id = ends.order_id
    JOIN orders_shipment s ON s.order_id = o.id AND s.event_id > ends.id
"""

PUT_BACK_TOO_OFTEN = """
    SELECT o.number, l.sku, l.shipped, l.called_off, l.returned, l.put_back, coalesce(moved, 0)
    FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
    LEFT JOIN (
        SELECT order_id, product_id, sum(change) AS moved FROM catalogue_stockmovement
        WHERE kind = 'restocked' GROUP BY order_id, product_id
    ) m ON m.order_id = l.order_id AND m.product_id = l.product_id
    LEFT JOIN (
        SELECT line_id, sum(quantity) AS taken FROM orders_goodsreturnline GROUP BY line_id
    ) r ON r.line_id = l.id
    LEFT JOIN (
        SELECT line_id, sum(quantity) AS paid_back FROM payments_refundline GROUP BY line_id
    ) p ON p.line_id = l.id
    WHERE coalesce(paid_back, 0) <> l.refunded OR l.refunded > l.quantity
        OR l.put_back > l.called_off + l.returned OR coalesce(moved, 0) <> l.put_back
        OR l.returned > l.shipped OR coalesce(taken, 0) <> l.returned
"""

REFUNDS_HERE = """
    SELECT o.number, r.reason, r.amount_minor, r.status, r.key FROM payments_refund r
    JOIN payments_payment p ON p.id = r.payment_id JOIN orders_order o ON o.id = p.order_id
    WHERE NOT r.is_release
"""

NUMBERS_WITH_A_GAP = """
    SELECT series, year, count(*), count(DISTINCT sequence), min(sequence), max(sequence)
    FROM orders_invoice GROUP BY series, year
    HAVING count(*) <> max(sequence) OR min(sequence) <> 1 OR count(DISTINCT sequence) <> count(*)
"""

# Paid orders without their one invoice, and refunds that are not credited in full.
NOT_INVOICED = """
    SELECT o.number, o.status, count(i.id) FILTER (WHERE i.kind = 'invoice'),
        coalesce(sum(i.total_minor) FILTER (WHERE i.kind = 'credit_note'), 0), o.refunded_minor
    FROM orders_order o LEFT JOIN orders_invoice i ON i.order_id = o.id
    WHERE o.status IN ('paid', 'partly_refunded', 'refunded') AND o.total_minor > 0
    GROUP BY o.id
    HAVING count(i.id) FILTER (WHERE i.kind = 'invoice') <> 1
        OR coalesce(sum(i.total_minor) FILTER (WHERE i.kind = 'credit_note'), 0)
            <> o.refunded_minor
"""

UNSENT_MAILS = """
    SELECT o.number, m.kind FROM orders_mail m JOIN orders_order o ON o.id = m.order_id
    WHERE m.sent_at IS NULL AND m.available_at <= now()
"""

MAILS = "SELECT message_id, kind FROM orders_mail WHERE sent_at IS NOT NULL"


def after_sale(
    database: str,
    journals: Path,
    made: Iterable[tuple[str, str, int]],
    mails: Iterable[EmailMessage],
) -> list[Promise]:
    """Every promise of this page, by what the desks were told, the refunds that the gateways made,
    the mails that arrived, and the shop's own rows."""
    told = [line for journal in sorted(journals.glob("*.jsonl")) for line in lines_of(journal)]
    done = [line for line in told if "made" in line]
    with psycopg.connect(database) as connection:
        refunds = connection.execute(REFUNDS_HERE).fetchall()
        return [
            _one_for_each_key(done),
            Promise("No act fails", len(told), [str(line) for line in told if "failed" in line]),
            _rows(connection, "Nothing is sent beyond what was ordered", SENT_TOO_OFTEN, done),
            _rows(connection, "Nothing is sent after it was refunded", SENT_AFTERWARDS, done),
            _rows(connection, "No piece is put back on sale twice", PUT_BACK_TOO_OFTEN, done),
            _refunds_once(refunds, list(made)),
            _rows(connection, "Invoices are numbered without a gap", NUMBERS_WITH_A_GAP, done),
            _rows(connection, "One invoice each, and all refunds credited", NOT_INVOICED, done),
            _mails_once(connection, mails),
        ]


def acts_told(journals: Path) -> Counter[str]:
    """How often each act was done, as the desks were told."""
    told = (line for journal in journals.glob("*.jsonl") for line in lines_of(journal))
    return Counter(f"{line['role']}: {line['act']}" for line in told if "made" in line)


def _rows(
    connection: "psycopg.Connection[Any]", words: str, query: str, done: list[dict[str, Any]]
) -> Promise:
    broken = [", ".join(map(str, row)) for row in connection.execute(query).fetchall()]
    return Promise(words, len(done), broken)


def _one_for_each_key(done: list[dict[str, Any]]) -> Promise:
    """However often a form was pressed under one key, all presses were told of the same."""
    made: dict[str, set[int]] = defaultdict(set)
    for line in done:
        made[f"{line['act']} of {line['order']} under {line['key']}"].add(line["made"])
    broken = [f"{what}: {sorted(ids)}" for what, ids in made.items() if len(ids) > 1]
    return Promise("An act that is pressed twice is one act", len(made), broken)


def _refunds_once(here: list[tuple[Any, ...]], there: list[tuple[str, str, int]]) -> Promise:
    broken = []
    reasons = Counter(reason for _, reason, *_ in here if reason.startswith("Drill "))
    broken += [f"{reason}: {times} refunds here" for reason, times in reasons.items() if times > 1]
    keys = Counter(key for _, key, _ in there)
    broken += [f"{key}: {times} refunds there" for key, times in keys.items() if times > 1]
    sums: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for number, _, amount, status, _ in here:
        sums[number][0] += amount if status == "succeeded" else 0
        if status not in ("succeeded", "failed"):
            broken.append(f"{number}: a refund is still {status}")
    for number, _, amount in there:
        sums[number][1] += amount
    broken += [f"{n}: {ours} sent back here, {theirs} there" for n, (ours, theirs) in sums.items()
               if ours != theirs]  # fmt: skip
    return Promise("Every refund is made once, here as at the gateway", len(here), broken)


def _mails_once(connection: "psycopg.Connection[Any]", mails: Iterable[EmailMessage]) -> Promise:
    """Each mail arrived; what arrived twice has one Message-ID, so that a mailbox shows one."""
    arrived = Counter(str(mail["Message-ID"]).strip("<>").partition("@")[0] for mail in mails)
    sent = {str(id_).replace("-", ""): kind for id_, kind in connection.execute(MAILS)}
    broken = [f"{kind} {id_} never arrived" for id_, kind in sent.items() if id_ not in arrived]
    waiting = connection.execute(UNSENT_MAILS).fetchall()
    broken += [f"{number}: {kind} was not sent" for number, kind in waiting]
    return Promise("Every mail is sent, under one Message-ID", len(sent), broken)
