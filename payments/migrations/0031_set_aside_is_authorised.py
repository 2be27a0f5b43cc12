from django.db import migrations

# A second message could take such a payment in the moment in which its order was set aside. Both
# are told together, so an order that is set aside has a payment that is.
SET_ASIDE = """
    UPDATE payments_payment p SET status = 'authorised'
    FROM orders_order o
    WHERE o.id = p.order_id AND o.status = 'authorised' AND o.cancelled_by = ''
      AND p.status = 'processing' AND p.captures_later AND NOT EXISTS (
          SELECT FROM payments_payment other
          WHERE other.order_id = o.id AND (other.status = 'authorised' OR other.round > p.round))
"""


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0041_wake_the_publisher"),
        ("payments", "0030_agree_about_lost_orders"),
    ]

    operations = [migrations.RunSQL(SET_ASIDE, migrations.RunSQL.noop)]
