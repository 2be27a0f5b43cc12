"""Orders whose parts do not make their total, and codes that are not counted right.

Each statement selects a row's name and what is wrong with it, for a check of `audit`. The lines are
added up once for all orders.
"""

# The goods are the sum of the lines, the discount that of the lines' shares, and the total that of
# the parts. The lines bear the whole tax where delivery costs nothing. An order without goods is of
# a release that knew no parts: it and its lines have none, and the lines are its total.
WRONG_PARTS = """
    WITH of_lines AS (
        SELECT order_id, sum(quantity * unit_price_minor) AS goods, sum(discount_minor) AS discount,
               sum(tax_minor) AS tax, count(tax_percent) AS taxed, count(*) AS lines
        FROM orders_orderline GROUP BY order_id
    )
    SELECT o.number, concat(
        'total ', o.total_minor, ', goods ', coalesce(o.goods_minor::text, 'none'),
        ', discount ', o.discount_minor, ', delivery ', o.delivery_minor, ', tax ', o.tax_minor,
        CASE WHEN o.prices_include_tax THEN ' contained' ELSE ' added' END,
        '; its lines: goods ', l.goods, ', discount ', l.discount, ', tax ', l.tax,
        ', ', l.taxed, ' of ', l.lines, ' with a tax rate'
    )
    FROM orders_order o JOIN of_lines l ON l.order_id = o.id
    WHERE l.goods <> coalesce(o.goods_minor, o.total_minor)
       OR l.discount <> o.discount_minor
       OR (l.tax <> o.tax_minor AND o.delivery_minor = 0)
       OR l.taxed <> CASE WHEN o.goods_minor IS NULL THEN 0 ELSE l.lines END
       OR o.total_minor <> coalesce(o.goods_minor, o.total_minor)
                           - o.discount_minor + o.delivery_minor
                           + CASE WHEN o.prices_include_tax THEN 0 ELSE o.tax_minor END
       OR (o.goods_minor IS NULL AND (
               l.tax <> 0 OR o.discount_minor <> 0 OR o.delivery_minor <> 0 OR o.tax_minor <> 0
               OR o.taxes <> '[]' OR o.discount_code <> '' OR o.delivery_method <> ''))
"""

# An order's tax is the sum of that of its rates. Of a rate's tax the lines bear their shares, and
# delivery bears the rest, which is nothing where delivery costs nothing: see above.
WRONG_TAXES = """
    SELECT o.number, concat('tax ', o.tax_minor, ', its rates ', r.tax)
    FROM orders_order o CROSS JOIN LATERAL (
        SELECT coalesce(sum((t ->> 'tax_minor')::bigint), 0) AS tax
        FROM jsonb_array_elements(o.taxes) t
    ) r
    WHERE (o.taxes <> '[]' OR o.tax_minor <> 0) AND o.tax_minor <> r.tax
    UNION ALL
    SELECT o.number, concat(
        'tax of ', trim_scale(l.percent), ' percent is ', r.tax, ', its lines have ', l.tax
    )
    FROM (
        SELECT order_id, tax_percent AS percent, sum(tax_minor) AS tax
        FROM orders_orderline WHERE tax_minor <> 0 GROUP BY order_id, tax_percent
    ) l
    JOIN orders_order o ON o.id = l.order_id
    CROSS JOIN LATERAL (
        SELECT coalesce(sum((t ->> 'tax_minor')::bigint), 0) AS tax
        FROM jsonb_array_elements(o.taxes) t WHERE (t ->> 'percent')::numeric = l.percent
    ) r
    WHERE l.tax > r.tax
"""

# A use is live exactly while its order is not cancelled, and the live ones are what a code counts.
WRONG_CODES = """
    SELECT c.code, concat('counted ', c.used, ' times, live orders have it ', count(u.id), ' times')
    FROM catalogue_discountcode c LEFT JOIN orders_codeuse u ON u.code_id = c.id AND u.is_live
    GROUP BY c.id HAVING c.used <> count(u.id)
    UNION ALL
    SELECT o.number, concat(
        'order is ', o.status, ', has ', CASE o.discount_code WHEN '' THEN 'no' ELSE 'a' END,
        ' code, and its use is ',
        CASE WHEN u.id IS NULL THEN 'missing' WHEN u.is_live THEN 'live' ELSE 'given back' END
    )
    FROM orders_order o LEFT JOIN orders_codeuse u ON u.order_id = o.id
    WHERE (o.discount_code <> '') <> (u.id IS NOT NULL)
       OR u.is_live <> (o.status <> 'cancelled')
"""
