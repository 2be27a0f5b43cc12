from django.db import migrations

# What staff took off an order in the moment between its payment's end at the bank and its own
# counted as sent back, although nothing of that order was ever charged.
NEVER_CHARGED = """
    UPDATE payments_refund r SET status = 'failed', failure = 'never_charged'
    FROM payments_payment p
    WHERE p.id = r.payment_id AND r.is_release AND r.status = 'succeeded'
      AND p.status = 'cancelled' AND p.charged_minor IS NULL;
    UPDATE orders_order o SET refunded_minor = 0
    WHERE o.status = 'cancelled' AND o.refunded_minor > 0 AND 0 = (
        SELECT count(p.charged_minor) FROM payments_payment p WHERE p.order_id = o.id)
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0041_wake_the_publisher"),
        ("payments", "0031_set_aside_is_authorised"),
    ]

    operations = [migrations.RunSQL(NEVER_CHARGED, migrations.RunSQL.noop)]
