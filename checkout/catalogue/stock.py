"""Stock goes down when an order is placed, never below zero, and up when one is cancelled."""

from collections.abc import Mapping

from django.db import connection


class OutOfStock(Exception):
    """Some of the products asked for are no longer there in that number."""

    def __init__(self, product_ids: set[int]) -> None:
        super().__init__(f"{len(product_ids)} products are short")
        self.product_ids = product_ids


# One statement for any number of products. Rows are locked in SKU order, so that two orders for
# the same products wait for each other instead of deadlocking; the condition is checked again on
# the row as it is after the wait.
RESERVE = """
    WITH wanted AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[]) AS w(product_id, quantity)
    ), locked AS (
        SELECT p.id, w.quantity
        FROM catalogue_product p JOIN wanted w ON w.product_id = p.id
        ORDER BY p.sku
        FOR UPDATE OF p
    )
    UPDATE catalogue_product p
    SET stock = p.stock - l.quantity
    FROM locked l
    WHERE p.id = l.id AND p.is_on_sale AND p.stock >= l.quantity
    RETURNING p.id
"""


def reserve_stock(quantities: Mapping[int, int]) -> None:
    """Take `{product id: quantity}` off the shelf, all or nothing.

    Call it inside the transaction that stores the order: `OutOfStock` must roll that back, since
    the products that were there have been taken already.
    """
    with connection.cursor() as cursor:
        cursor.execute(RESERVE, [list(quantities.keys()), list(quantities.values())])
        reserved = {product_id for (product_id,) in cursor.fetchall()}
    if short := quantities.keys() - reserved:
        raise OutOfStock(set(short))


# Takes and gives back lock in the same order.
RELEASE = """
    WITH given_back AS (
        SELECT * FROM unnest(%s::bigint[], %s::int[]) AS g(product_id, quantity)
    ), locked AS (
        SELECT p.id, g.quantity
        FROM catalogue_product p JOIN given_back g ON g.product_id = p.id
        ORDER BY p.sku
        FOR UPDATE OF p
    )
    UPDATE catalogue_product p SET stock = p.stock + l.quantity FROM locked l WHERE p.id = l.id
"""


def release_stock(quantities: Mapping[int, int]) -> None:
    """Put `{product id: quantity}` back. Call it inside the transaction that cancels the order:
    that transition happens once, and so does this."""
    with connection.cursor() as cursor:
        cursor.execute(RELEASE, [list(quantities.keys()), list(quantities.values())])
