"""What must hold after every step, read in one statement and held against the gateway's memory."""

import secrets
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db import connection
from psycopg import ClientCursor
from psycopg.errors import InvalidSqlStatementName

from checkout.orders.states import UNSETTLED
from payments.books.audit import BOOKS, PAID_STATUSES, Check, database_checks
from payments.sandbox.account import Account

# These promises are kept in the end, and not while things are under way.
IN_THE_END = {
    "Whatever was charged too much has been sent back",
    "No order waits for a person",
    "No outcome at the gateway has been unknown for 20 hours",
    "No unsettled order is forgotten: its sweep missing or overdue",
}

ORDERS = """
    SELECT coalesce(json_agg(told), '[]') FROM (
        SELECT o.number, o.reference, replace(o.checkout_id::text, '-', '') AS checkout_id,
               o.status, o.total_minor, o.currency, o.sweep_at IS NOT NULL AS is_swept,
               EXISTS (SELECT FROM orders_outboxmessage m
                       WHERE m.order_id = o.id AND m.published_at IS NULL) AS has_message,
               EXISTS (SELECT FROM orders_outboxmessage m
                       WHERE m.order_id = o.id AND m.published_at IS NULL AND m.available_at <= $1
                         AND (m.claimed_until IS NULL OR m.claimed_until < $1)) AS has_due,
               (SELECT coalesce(sum(r.amount_minor), 0)
                FROM payments_refund r JOIN payments_payment p ON p.id = r.payment_id
                WHERE p.order_id = o.id AND r.status <> 'failed') AS refunds_minor
        FROM orders_order o
    ) told
"""
STOCK = """
    SELECT coalesce(json_object_agg(p.sku, json_build_array(p.stock, (
        SELECT coalesce(sum(l.quantity), 0)
        FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
        WHERE l.product_id = p.id AND o.status <> 'cancelled'
    ))), '{}') FROM catalogue_product p
"""

# Each code with its limit, its count, its live uses, and the orders that have it and are not
# cancelled.
CODES = """
    SELECT coalesce(json_object_agg(c.code, json_build_array(c."limit", c.used, (
        SELECT count(*) FROM orders_codeuse u WHERE u.code_id = c.id AND u.is_live
    ), (
        SELECT count(*) FROM orders_order o
        WHERE o.discount_code = c.code AND o.status <> 'cancelled'
    ))), '{}') FROM catalogue_discountcode c
"""

# A repeated call is the same call, so it goes out under the same key.
KEYS = """
    SELECT p.order_id::text, a.step || ' went out under ' || count(DISTINCT a.idempotency_key)
                             || ' keys'
    FROM payments_paymentattempt a JOIN payments_payment p ON p.id = a.payment_id
    WHERE a.step IN ('open', 'confirm', 'cancel')
    GROUP BY p.id, a.step HAVING count(DISTINCT a.idempotency_key) > 1
"""


class Violation(AssertionError):
    """A promise of the shop is broken."""


def plain_cursor() -> ClientCursor[tuple[Any, ...]]:
    """Puts values into the statement itself: only some kinds of statement have parameters, and only
    one at a time can be prepared."""
    connection.ensure_connection()
    return ClientCursor(connection.connection)


@dataclass
class Books:
    """Reads the shop's database by a prepared statement, for it is read after every step."""

    _prepared_on: object = None
    orders: list[dict[str, Any]] = field(default_factory=list)
    stock: dict[str, list[int]] = field(default_factory=dict)
    codes: dict[str, list[int]] = field(default_factory=dict)

    def read(self, now: datetime) -> None:
        """Raises at once where the database alone shows that a promise is broken."""
        if connection.connection is None or connection.connection is not self._prepared_on:
            self._prepare(now)
        with plain_cursor() as cursor:
            try:
                cursor.execute("EXECUTE machine_books(%s)", [now])
            except InvalidSqlStatementName:  # psycopg forgets all of them after a ROLLBACK
                self._prepare(now)
                cursor.execute("EXECUTE machine_books(%s)", [now])
            row = cursor.fetchone()
        assert row
        self.orders, self.stock, self.codes, broken = row
        require(not broken, "; ".join(broken or []))

    def _prepare(self, now: datetime) -> None:
        checks = [check for check in database_checks(now) if check.promise not in IN_THE_END]
        assert len(checks) + len(IN_THE_END) == len(database_checks(now))
        same_key = "Every repetition of a call has the key of the first"
        checks.append(Check("I3", same_key, "payments_paymentattempt", KEYS))
        found = " UNION ALL ".join(
            f"SELECT '{check.promise.replace(chr(39), chr(39) * 2)}: ' || row::text || ' ' || wrong"
            f" FROM ({check.sql}) AS check_{place}(row, wrong)"
            for place, check in enumerate(checks)
        )
        statement = (
            "PREPARE machine_books(timestamptz) AS "
            f"WITH books AS ({BOOKS}), found(words) AS ({found}) "
            f"SELECT ({ORDERS}), ({STOCK}), ({CODES}), (SELECT json_agg(words) FROM found)"
        )
        with connection.cursor() as cursor:
            # An earlier test may have left its own. psycopg learns that its own are gone as well
            # where it has not seen the statement before.
            cursor.execute(f"DEALLOCATE ALL -- {secrets.token_hex(8)}")
        with plain_cursor() as cursor:
            cursor.execute(statement, [value for check in checks for value in check.parameters])
        self._prepared_on = connection.connection

    def check_charges(self, account: Account) -> None:
        orders = {order["number"]: order for order in self.orders}
        charges: Counter[str] = Counter()
        for charge in account.charges():
            order = orders.get(charge["order"])
            require(order is not None, f"a charge for no order: {charge}")
            assert order
            charges[order["number"]] += 1
            wanted = (order["total_minor"], order["currency"])
            told = (charge["amount"], charge["currency"].upper())
            require(told == wanted, f"{order['number']} costs {wanted} and was charged {told}")
        for number, times in charges.items():
            require(times == 1, f"{number} was charged {times} times")
        for order in self.orders:
            if order["status"] in (*PAID_STATUSES, "refunded"):
                require(order["number"] in charges, f"{order['number']} is paid and not charged")

    def check_refunds(self, account: Account) -> None:
        """No refund was made twice, and none that nobody had asked for."""
        order_of = {charge["payment_intent"]: charge["order"] for charge in account.charges()}
        keys: Counter[str] = Counter()
        sent: Counter[str] = Counter()
        for refund in account.refunds():
            if key := refund["metadata"].get("refund_key"):
                keys[key] += 1
                sent[order_of[refund["payment_intent"]]] += refund["amount"]
        require(all(times == 1 for times in keys.values()), f"a refund was made twice: {keys}")
        for order in self.orders:
            asked = order["refunds_minor"]
            require(
                sent[order["number"]] <= asked,
                f"{order['number']}: {sent[order['number']]} sent back of {asked} asked for",
            )

    def check_acknowledged(self, acknowledged: dict[str, tuple[str, int]]) -> None:
        """`acknowledged` gives, for a checkout id, the reference and total the shopper was told."""
        by_checkout = {
            order["checkout_id"]: (order["reference"], order["total_minor"])
            for order in self.orders
        }
        require(len(by_checkout) == len(self.orders), "a checkout id has two orders")
        for checkout_id, told in acknowledged.items():
            found = by_checkout.get(checkout_id)
            require(found == told, f"the shopper was told {told}, and there is {found}")

    def check_forgotten(self, in_queue: set[str]) -> None:
        for order in self.orders:
            if order["status"] in UNSETTLED:
                is_watched = (
                    order["is_swept"] or order["has_message"] or order["number"] in in_queue
                )
                require(is_watched, f"{order['number']} is forgotten")

    def check_stock(self, delivered: dict[str, int]) -> None:
        """`delivered` is what staff have put on the shelf altogether."""
        for sku, (left, reserved) in self.stock.items():
            require(left >= 0, f"{sku}: {left} left")
            require(
                left + reserved == delivered[sku],
                f"{sku}: {delivered[sku]} delivered, {reserved} reserved, {left} left",
            )

    def check_codes(self) -> None:
        for code, (limit, used, live_uses, live_orders) in self.codes.items():
            require(
                used == live_uses == live_orders <= limit,
                f"{code}: {live_orders} orders have it, {used} are counted, {live_uses} are uses, "
                f"{limit} may be",
            )


def require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
