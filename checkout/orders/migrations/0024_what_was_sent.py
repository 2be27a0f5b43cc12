from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations

# Nothing can have been sent of what was never paid.
UNPAID = """
    UPDATE orders_order SET dispatch_status = 'unsent'
    WHERE status IN ('placed', 'action_required', 'payment_failed') AND dispatch_status = ''
"""

# Staff had put these pieces back on sale, so they had been sent and had come back.
PUT_BACK = """
    UPDATE orders_orderline l
    SET shipped = pieces, returned = pieces, put_back = pieces
    FROM (
        SELECT order_id, product_id, sum(change)::int AS pieces
        FROM catalogue_stockmovement WHERE kind = 'restocked' GROUP BY order_id, product_id
    ) back
    WHERE back.order_id = l.order_id AND back.product_id = l.product_id
        AND l.put_back = 0 AND pieces <= quantity
"""


class Migration(migrations.Migration):
    """Without a lock that a purchase would wait for."""

    atomic = False

    dependencies = [
        ('catalogue', '0005_rows_may_change_places'),
        ('orders', '0023_dispatch'),
    ]

    operations = [
        migrations.RunSQL(UNPAID, migrations.RunSQL.noop),
        migrations.RunSQL(PUT_BACK, migrations.RunSQL.noop),
        ValidateConstraint(model_name='order', name='orders_order_dispatch_known'),
        ValidateConstraint(model_name='orderline', name='orders_orderline_sent_at_most'),
        ValidateConstraint(model_name='orderline', name='orders_orderline_returned_was_sent'),
        ValidateConstraint(model_name='orderline', name='orders_orderline_put_back_at_most'),
        ValidateConstraint(model_name='orderline', name='orders_orderline_refunded_at_most'),
    ]
