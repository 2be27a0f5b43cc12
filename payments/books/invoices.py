"""Numbers of invoices that are missing or double, and invoices that do not fit their orders.

Each statement selects a row's name and what is wrong with it, for a check of `audit`.
"""

# One aggregate over the numbers. What `prune` has deleted begins a year with its lowest numbers, or
# is a whole year. A restored backup has lost numbers that may have been seen; they are written down
# as a gap, which counts like the numbers in it, and ends as they do.
WRONG_NUMBERS = """
    SELECT concat(series, ' ', year), concat(
        'the counter says ', coalesce(c.last::text, 'nothing'), ', there are ',
        coalesce(i.issued, 0), ' numbers from ', coalesce(i.first::text, 'none'),
        ' to ', coalesce(i.latest::text, 'none')
    )
    FROM orders_invoicecounter c FULL JOIN (
        SELECT series, year, min(first) AS first, max(last) AS latest,
               sum(last - first + 1) FILTER (WHERE is_one) AS issued, sum(last - first + 1) AS rows
        FROM (SELECT series, year, sequence AS first, sequence AS last,
                     row_number() OVER (PARTITION BY series, year, sequence) = 1 AS is_one
              FROM orders_invoice
              UNION ALL
              SELECT series, year, first, last, true FROM orders_invoicegap g
              WHERE year >= extract(year FROM now()) - 5 OR EXISTS (
                  SELECT FROM orders_invoice i
                  WHERE i.series = g.series AND i.year = g.year AND i.sequence < g.first)
             ) numbers
        GROUP BY series, year
    ) i USING (series, year)
    WHERE c.last IS NULL OR i.rows <> i.issued OR i.issued <> i.latest - i.first + 1
       OR i.latest <> c.last
       OR (coalesce(i.first, 0) <> 1 AND year >= extract(year FROM now()) - 5)
"""

KNOWN_GAPS = """
    SELECT concat(series, ' ', year, ': ', first, ' to ', last, ' are left out: a backup was ',
                  'restored; ', found_by, ' said so on ', found_at::date)
    FROM orders_invoicegap ORDER BY id
"""

# Orders that were paid before the first invoice there is have none, and such that cost nothing.
NOT_INVOICED = """
    SELECT o.number, concat('order is ', o.status, ', was paid on ', e.created_at,
                            ' and has no invoice')
    FROM orders_order o
    JOIN (SELECT order_id, min(created_at) AS created_at FROM orders_orderevent
          WHERE kind = 'transition' AND to_status = 'paid' GROUP BY order_id) e
         ON e.order_id = o.id
    LEFT JOIN orders_invoice i ON i.order_id = o.id AND i.kind = 'invoice'
    WHERE i.id IS NULL AND o.total_minor > 0
      AND o.status IN ('paid', 'partly_refunded', 'refunded')
      AND e.created_at >= (SELECT min(issued_at) FROM orders_invoice WHERE kind = 'invoice')
"""

# A refund that came back is not credited a second time when it is sent again, so there may be more
# credited than is sent back just now.
WRONG_CREDITS = """
    SELECT o.number, concat('invoiced ', i.total_minor, ', credited ', coalesce(n.credited, 0),
                            ', sent back ', o.refunded_minor)
    FROM orders_invoice i
    JOIN orders_order o ON o.id = i.order_id
    LEFT JOIN (SELECT order_id, sum(total_minor) AS credited FROM orders_invoice
               WHERE kind = 'credit_note' GROUP BY order_id) n ON n.order_id = i.order_id
    WHERE i.kind = 'invoice'
      AND (coalesce(n.credited, 0) > i.total_minor OR coalesce(n.credited, 0) < o.refunded_minor)
"""

WRONG_CONTENT = """
    SELECT i.number, concat(i.kind, ' of ', i.total_minor, ' ', i.currency, ' says ',
                            i.content ->> 'total_minor', ', its taxes ', t.gross, ', order ',
                            o.number, ' costs ', o.total_minor, ' ', o.currency)
    FROM orders_invoice i JOIN orders_order o ON o.id = i.order_id
    CROSS JOIN LATERAL (
        SELECT sum((t ->> 'net_minor')::bigint + (t ->> 'tax_minor')::bigint) AS gross
        FROM jsonb_array_elements(i.content -> 'taxes') t
    ) t
    WHERE (i.content ->> 'total_minor')::bigint <> i.total_minor
       OR i.currency <> o.currency OR i.content ->> 'currency' <> o.currency
       OR (i.kind = 'invoice' AND i.total_minor <> o.total_minor)
       OR t.gross <> i.total_minor
"""
