"""Differences between movements, stock and orders, which `reconcile_stock` records.

They arise when a release that knows no movements, or a person with SQL, changes the stock alone.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from checkout.catalogue.models import StockMovement
from checkout.runtime.database import lift_time_limit

# Columns: product_id, and missing: by how much the movements differ from the stock.
OF_PRODUCTS = """
    SELECT p.id AS product_id, p.stock - coalesce(sum(m.change), 0) AS missing
    FROM catalogue_product p LEFT JOIN catalogue_stockmovement m ON m.product_id = p.id
    GROUP BY p.id HAVING p.stock <> coalesce(sum(m.change), 0)
"""

# Columns: order_id, product_id, and missing: by how much the movements differ from what the order
# holds. An order holds what was bought less what came back, unless it was cancelled. Orders from
# before the first movement of the kind `placed` have no such movement and are left out.
OF_ORDERS = """
    SELECT * FROM (
        SELECT order_id, product_id, -coalesce(change, 0) - CASE
            WHEN o.status = 'cancelled' THEN 0
            ELSE coalesce(l.quantity, 0) - coalesce(moved.restocked, 0) END AS missing
        FROM orders_orderline l
        FULL JOIN (
            SELECT order_id, product_id, sum(change) AS change,
                   sum(change) FILTER (WHERE kind = 'restocked') AS restocked
            FROM catalogue_stockmovement WHERE order_id IS NOT NULL
            GROUP BY order_id, product_id
        ) moved USING (order_id, product_id)
        JOIN orders_order o ON o.id = order_id
    ) lines
    WHERE missing <> 0
        AND order_id >= (SELECT min(order_id) FROM catalogue_stockmovement WHERE kind = 'placed')
"""

RECORD_OF_ORDERS = f"""
    INSERT INTO catalogue_stockmovement
        (product_id, order_id, change, kind, actor, explanation)
    SELECT product_id, order_id, missing, %(kind)s, %(actor)s, %(explanation)s
    FROM ({OF_ORDERS}) missing ORDER BY order_id, product_id
"""  # noqa: S608 - our own statements

RECORD_OF_PRODUCTS = f"""
    INSERT INTO catalogue_stockmovement (product_id, change, kind, actor, explanation)
    SELECT product_id, missing, %(kind)s, %(actor)s, %(explanation)s
    FROM ({OF_PRODUCTS}) missing ORDER BY product_id
"""  # noqa: S608 - our own statements

COUNT = "SELECT (SELECT count(*) FROM ({}) o), (SELECT count(*) FROM ({}) p)"

# Two at once would record the same, so one waits for the other. Nothing else locks this number.
ONE_AT_A_TIME = "SELECT pg_advisory_xact_lock(7340021)"


@dataclass(frozen=True, kw_only=True)
class Differences:
    of_orders: int
    of_products: int

    def __bool__(self) -> bool:
        return bool(self.of_orders or self.of_products)


def count_differences() -> Differences:
    with transaction.atomic(), connection.cursor() as cursor:
        lift_time_limit()
        cursor.execute(COUNT.format(OF_ORDERS, OF_PRODUCTS))
        of_orders, of_products = cursor.fetchone()
    return Differences(of_orders=of_orders, of_products=of_products)


def record_differences(*, by: str, why: str) -> Differences:
    """Add the movements that are missing. The stock itself stays as it is. Each statement sees one
    moment, in which every movement that this release has written stands together with what it
    moved; so a movement that is written meanwhile is never taken for missing."""
    values = {
        "kind": StockMovement.Kind.CORRECTED.value,
        "actor": by,
        "explanation": why[:200],
    }
    with transaction.atomic(), connection.cursor() as cursor:
        lift_time_limit()
        cursor.execute(ONE_AT_A_TIME)
        cursor.execute(RECORD_OF_ORDERS, values)
        of_orders = cursor.rowcount
        cursor.execute(RECORD_OF_PRODUCTS, values)
        of_products = cursor.rowcount
    return Differences(of_orders=of_orders, of_products=of_products)
