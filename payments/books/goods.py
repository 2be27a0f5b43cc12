"""Orders whose goods are not where their lines say, or that were sent though they were refunded.

Each statement selects a row's name and what is wrong with it, for a check of `audit`. Of orders
from before dispatch was written down, not all that was sent and taken back has a row.
"""

# Since when all that is sent and taken back has a row.
WRITTEN_DOWN = """
    o.placed_at >= coalesce((
        SELECT max(applied) FROM django_migrations
        WHERE app = 'orders' AND name = '0024_what_was_sent'), '-infinity')
"""

_LINES = """
    FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
    LEFT JOIN rows ON rows.line_id = l.id
"""

WRONG_SENT = f"""
    WITH rows AS (
        SELECT sl.line_id, sum(sl.quantity) AS pieces
        FROM orders_shipmentline sl JOIN orders_shipment s ON s.id = sl.shipment_id
        WHERE s.undone_at IS NULL GROUP BY sl.line_id
    )
    SELECT o.number, concat(
        l.sku, ': ', l.shipped, ' of ', l.quantity, ' sent, ', l.called_off,
        ' called off, its parcels have ', coalesce(pieces, 0))
    {_LINES}
    WHERE l.shipped < coalesce(pieces, 0) OR l.shipped + l.called_off > l.quantity
       OR (l.shipped > coalesce(pieces, 0) AND o.dispatch_status <> '' AND {WRITTEN_DOWN})
"""  # noqa: S608 - our own statements

WRONG_RETURNED = f"""
    WITH rows AS (
        SELECT line_id, sum(quantity) AS pieces FROM orders_goodsreturnline GROUP BY line_id
    )
    SELECT o.number, concat(
        l.sku, ': ', l.returned, ' of ', l.shipped, ' sent came back, its returns have ',
        coalesce(pieces, 0))
    {_LINES}
    WHERE l.returned < coalesce(pieces, 0) OR l.returned > l.shipped
       OR (l.returned > coalesce(pieces, 0) AND {WRITTEN_DOWN})
"""  # noqa: S608 - our own statements

WRONG_PUT_BACK = f"""
    WITH moved AS (
        SELECT order_id, product_id, sum(change) AS pieces FROM catalogue_stockmovement
        WHERE kind = 'restocked' GROUP BY order_id, product_id
    )
    SELECT o.number, concat(
        l.sku, ': ', l.put_back, ' on sale again of ', l.called_off + l.returned,
        ' that the shop has, the movements say ', coalesce(pieces, 0))
    FROM orders_orderline l JOIN orders_order o ON o.id = l.order_id
    LEFT JOIN moved ON moved.order_id = l.order_id AND moved.product_id = l.product_id
    WHERE l.put_back > l.called_off + l.returned OR l.put_back > coalesce(pieces, 0)
       OR (l.put_back < coalesce(pieces, 0) AND {WRITTEN_DOWN})
"""  # noqa: S608 - our own statements

# What is refunded was called off, or is with the customer.
WRONG_REFUNDED = f"""
    WITH rows AS (
        SELECT line_id, sum(quantity) AS pieces FROM payments_refundline GROUP BY line_id
    )
    SELECT o.number, concat(
        l.sku, ': ', l.refunded, ' of ', l.quantity, ' refunded, its refunds have ',
        coalesce(pieces, 0), '; ', l.shipped, ' sent, ', l.called_off, ' called off')
    {_LINES}
    WHERE l.refunded <> coalesce(pieces, 0) OR l.refunded > l.quantity
       OR (l.refunded > l.shipped + l.called_off AND o.dispatch_status <> '')
"""  # noqa: S608 - our own statements

SENT_AFTER_REFUND = """
    SELECT o.number, concat('a parcel of ', s.sent_at, ' left after all money was sent back')
    FROM orders_order o JOIN orders_shipment s ON s.order_id = o.id
    WHERE o.status = 'refunded' AND s.undone_at IS NULL AND s.event_id > (
        SELECT max(e.id) FROM orders_orderevent e
        WHERE e.order_id = o.id AND e.kind = 'transition' AND e.to_status = 'refunded')
    UNION ALL
    SELECT o.number, concat(
        l.sku, ': ', l.quantity - l.shipped - l.called_off, ' may still be sent, and all money ',
        'was sent back')
    FROM orders_order o JOIN orders_orderline l ON l.order_id = o.id
    WHERE o.status = 'refunded' AND o.dispatch_status <> ''
      AND l.shipped + l.called_off < l.quantity
"""

# Its refund is under way while the sweep watches over it, and a person has it where one could not
# be made.
CANCELLED_AND_KEPT = """
    SELECT o.number, concat('cancelled after it was paid, order is ', o.status, ', ',
                            b.taken - b.sent_back - b.lost, ' is still here')
    FROM orders_order o JOIN books b ON b.order_id = o.id AND NOT b.is_surplus
    WHERE o.dispatch_status = 'called_off' AND o.cancelled_by <> ''
      AND b.sent_back + b.lost < b.taken AND o.sweep_at IS NULL
      AND NOT EXISTS (SELECT FROM orders_attentionreason a
                      WHERE a.order_id = o.id AND a.resolved_at IS NULL)
"""

WRONG_DISPATCH = """
    WITH lines AS (
        SELECT order_id, sum(quantity - shipped - called_off) AS to_send, sum(shipped) AS sent,
               sum(returned) AS returned
        FROM orders_orderline WHERE is_delivered GROUP BY order_id
    ), told AS (
        SELECT o.number, o.dispatch_status AS said, CASE
            WHEN l.order_id IS NULL THEN 'nothing_to_send'
            WHEN l.sent = 0 THEN CASE WHEN l.to_send > 0 THEN 'unsent' ELSE 'called_off' END
            WHEN l.to_send > 0 THEN 'partly_sent'
            WHEN l.returned = l.sent THEN 'returned'
            ELSE 'sent' END AS meant
        FROM orders_order o LEFT JOIN lines l ON l.order_id = o.id
        WHERE o.dispatch_status <> ''
    )
    SELECT number, concat('order says ', said, ', its lines ', meant) FROM told WHERE said <> meant
"""

# What is promised of each row of a table, and the statement that names those of which it is untrue.
GOODS = (
    ("No piece is sent that no parcel has, or that was called off", "orders_orderline", WRONG_SENT),
    ("No piece came back that was not sent", "orders_orderline", WRONG_RETURNED),
    ("No piece is on sale again twice", "orders_orderline", WRONG_PUT_BACK),
    ("No piece is refunded twice, or sent later", "orders_orderline", WRONG_REFUNDED),
    ("Nothing is sent whose money was sent back", "orders_order", SENT_AFTER_REFUND),
    ("No cancelled order's money is kept", "orders_order", CANCELLED_AND_KEPT),
    ("Each order says how far it is sent", "orders_order", WRONG_DISPATCH),
)
