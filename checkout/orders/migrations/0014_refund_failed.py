import checkout.orders.models.webhooks
import django.contrib.postgres.fields
from django.db import migrations, models

# Whoever is told that money was sent back has to hear that it came back.
TELL = """
    UPDATE orders_webhookendpoint SET kinds = array_append(kinds, 'order.refund_failed')
    WHERE 'order.refunded' = ANY (kinds) AND NOT 'order.refund_failed' = ANY (kinds)
"""


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0013_installation'),
    ]

    operations = [
        migrations.AlterField(
            model_name='mail',
            name='kind',
            field=models.CharField(choices=[('received', 'Order received'), ('payment_failed', 'Payment failed'), ('paid', 'Receipt'), ('refunded', 'Refund'), ('refund_failed', 'Refund that came back'), ('link', 'Link to the order')], max_length=20),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='kind',
            field=models.CharField(choices=[('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed')], max_length=30),
        ),
        migrations.AlterField(
            model_name='webhookendpoint',
            name='kinds',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed')], max_length=30), default=checkout.orders.models.webhooks.every_kind, size=None, verbose_name='is told of'),
        ),
        migrations.RunSQL(TELL, migrations.RunSQL.noop),
    ]
