"""What stands on an invoice, in the JSON that is stored with it and never changed.

The database builds it from the rows of the order, in the statement that takes the number. Keys are
added and never renamed: a document of years ago must still be shown as it was.
"""

# The buyer, by the names of the order's columns. An order with an address for the bill is billed
# there, whatever of it is empty.
BUYER = """
    CASE WHEN jsonb_typeof(o.billing) = 'object' AND o.billing <> '{}' THEN o.billing
    ELSE jsonb_build_object(
        'full_name', o.full_name, 'company', o.company, 'address', o.address,
        'address2', o.address2, 'postcode', o.postcode, 'city', o.city, 'region', o.region,
        'country', o.country)
    END || jsonb_build_object('vat_id', o.vat_id)
"""

LINES = """
    SELECT jsonb_agg(jsonb_build_object(
        'sku', l.sku, 'name', l.name, 'quantity', l.quantity,
        'unit_price_minor', l.unit_price_minor, 'discount_minor', l.discount_minor,
        'tax_percent', trim_scale(l.tax_percent)::text, 'tax_minor', l.tax_minor,
        'total_minor', l.quantity * l.unit_price_minor) ORDER BY l.id)
    FROM orders_orderline l WHERE l.order_id = o.id
"""

# An order names the rates above zero. What bears no tax is named here as well, so that net and tax
# of all rates add up to the total. An order of a release before tax was worked out has no rates.
TAXES = """
    SELECT CASE WHEN o.goods_minor IS NULL OR o.total_minor <= taxed.gross THEN o.taxes
        ELSE o.taxes || jsonb_build_object(
            'percent', '0', 'net_minor', o.total_minor - taxed.gross, 'tax_minor', 0)
        END
    FROM (SELECT coalesce(sum((t ->> 'net_minor')::bigint + (t ->> 'tax_minor')::bigint), 0)
                 AS gross
          FROM jsonb_array_elements(o.taxes) t) taxed
"""

# `frozen` is what the database does not know: the seller and the days.
INVOICED = f"""
    %(frozen)s::jsonb || jsonb_build_object(
        'buyer', {BUYER},
        'order', o.number,
        'language', coalesce(nullif(o.language, ''), %(language)s::text),
        'lines', ({LINES}),
        'goods_minor', coalesce(o.goods_minor, o.total_minor),
        'discount', jsonb_build_object('code', o.discount_code, 'amount_minor', o.discount_minor),
        'delivery', jsonb_build_object('name', o.delivery_name, 'price_minor', o.delivery_minor),
        'taxes', ({TAXES}),
        'taxed_in', coalesce(nullif(%(taxed_in)s::text, ''), o.country),
        'prices_include_tax', o.prices_include_tax,
        'total_minor', o.total_minor,
        'currency', o.currency
    )
"""
