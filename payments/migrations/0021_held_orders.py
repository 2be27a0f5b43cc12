from django.db import migrations

# The customer's bank holds the money of these orders, or has taken it back.
HELD = """
    UPDATE orders_order SET is_held = true WHERE id IN (
        SELECT p.order_id FROM payments_dispute d JOIN payments_payment p ON p.id = d.payment_id
        WHERE d.status IN ('needs_response', 'under_review', 'lost')
    )
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0025_orders_to_send"),
        ("payments", "0020_texts_of_groups"),
    ]

    operations = [migrations.RunSQL(HELD, migrations.RunSQL.noop)]
