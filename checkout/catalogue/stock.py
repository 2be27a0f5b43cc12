"""A product's stock and its movements: each changes with the other, in one statement.

Stock goes down when an order is placed, never below zero, and up when one is cancelled.
"""

from collections.abc import Collection, Mapping

from django.db import connection

from checkout.catalogue.models import StockMovement


class OutOfStock(Exception):
    """There is not enough left of some of the products."""

    def __init__(self, product_ids: set[int]) -> None:
        super().__init__(f"{len(product_ids)} products are short")
        self.product_ids = product_ids


# Rows are locked in SKU order, so that two orders for the same products wait for each other instead
# of deadlocking; the condition is checked again on the row as it is after the wait.
RESERVE = """
    WITH wanted AS (
        SELECT * FROM unnest(%(products)s::bigint[], %(pieces)s::int[]) AS w(product_id, quantity)
    ), locked AS (
        SELECT p.id, w.quantity
        FROM catalogue_product p JOIN wanted w ON w.product_id = p.id
        ORDER BY p.sku
        FOR UPDATE OF p
    ), reserved AS (
        UPDATE catalogue_product p
        SET stock = p.stock - l.quantity
        FROM locked l
        WHERE p.id = l.id AND p.is_on_sale AND p.stock >= l.quantity
        RETURNING p.id, p.sku, l.quantity
    )
    INSERT INTO catalogue_stockmovement (product_id, change, kind, order_id)
    SELECT id, -quantity, %(kind)s, %(order)s FROM reserved ORDER BY sku
    RETURNING product_id
"""


def reserve_stock(
    quantities: Mapping[int, int],
    *,
    order_id: int,
    kind: StockMovement.Kind = StockMovement.Kind.PLACED,
) -> None:
    """Take `{product id: quantity}` off the shelf, inside the transaction that stores the order:
    `OutOfStock` must roll that back, since what was there has been taken already."""
    reserved = _moved(RESERVE, quantities, order_id=order_id, kind=kind)
    if short := quantities.keys() - reserved:
        raise OutOfStock(set(short))


# This locks in the same order as taking stock does.
RELEASE = """
    WITH given_back AS (
        SELECT * FROM unnest(%(products)s::bigint[], %(pieces)s::int[]) AS g(product_id, quantity)
    ), locked AS (
        SELECT p.id, g.quantity
        FROM catalogue_product p JOIN given_back g ON g.product_id = p.id
        ORDER BY p.sku
        FOR UPDATE OF p
    ), released AS (
        UPDATE catalogue_product p SET stock = p.stock + l.quantity FROM locked l
        WHERE p.id = l.id
        RETURNING p.id, p.sku, l.quantity
    )
    INSERT INTO catalogue_stockmovement
        (product_id, change, kind, order_id, actor, explanation, key)
    SELECT id, quantity, %(kind)s, %(order)s, %(actor)s, %(explanation)s,
           CASE %(key)s WHEN '' THEN '' ELSE %(key)s || '-' || id END
    FROM released ORDER BY sku
    RETURNING product_id
"""


def release_stock(quantities: Mapping[int, int], *, order_id: int) -> None:
    """Put `{product id: quantity}` back. Call it inside the transaction that cancels the order:
    that transition happens once, so the stock is given back once."""
    _moved(RELEASE, quantities, order_id=order_id, kind=StockMovement.Kind.RELEASED)


def restock_stock(
    quantities: Mapping[int, int], *, order_id: int, by: str, why: str, key: str
) -> None:
    """Put an order's returned goods, as `{product id: quantity}`, into stock."""
    _moved(
        RELEASE,
        quantities,
        order_id=order_id,
        kind=StockMovement.Kind.RESTOCKED,
        actor=by,
        explanation=why[:200],
        key=key,
    )


def _moved(
    statement: str,
    quantities: Mapping[int, int],
    *,
    order_id: int,
    kind: StockMovement.Kind,
    actor: str = "",
    explanation: str = "",
    key: str = "",
) -> set[int]:
    """The ids of the products that the statement moved."""
    values: dict[str, list[int] | int | str] = {
        "products": list(quantities.keys()),
        "pieces": list(quantities.values()),
        "order": order_id,
        "kind": kind.value,
        "actor": actor,
        "explanation": explanation,
        "key": key,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        return {product_id for (product_id,) in cursor.fetchall()}


OPEN = """
    INSERT INTO catalogue_stockmovement (product_id, change, kind, actor)
    SELECT p.id, p.stock, %s, %s FROM catalogue_product p
    WHERE p.id = ANY(%s) AND p.stock <> 0
        AND NOT EXISTS (SELECT FROM catalogue_stockmovement m WHERE m.product_id = p.id)
    ORDER BY p.sku
"""


def open_stock(product_ids: Collection[int], *, by: str = "") -> None:
    """Record the first stock of new products. Call it inside the transaction that stores them."""
    with connection.cursor() as cursor:
        cursor.execute(OPEN, [StockMovement.Kind.OPENING.value, by, list(product_ids)])


def forget_explanations(order_id: int) -> None:
    """Empty what people typed of an order's goods, who may have named its customer. The trigger
    lets this change alone pass; product, change, kind and time stay as they were recorded."""
    typed = StockMovement.objects.filter(order=order_id).exclude(explanation="")
    typed.update(explanation="")
