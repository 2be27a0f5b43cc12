import checkout.orders.models.webhooks
import django.contrib.postgres.fields
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0026_invoices"),
    ]

    operations = [
        migrations.AlterField(
            model_name="webhookdelivery",
            name="kind",
            field=models.CharField(
                choices=[
                    ("order.placed", "order.placed"),
                    ("order.paid", "order.paid"),
                    ("order.payment_failed", "order.payment_failed"),
                    ("order.cancelled", "order.cancelled"),
                    ("order.refunded", "order.refunded"),
                    ("order.refund_failed", "order.refund_failed"),
                    ("order.shipped", "order.shipped"),
                    ("order.shipment_undone", "order.shipment_undone"),
                    ("order.disputed", "order.disputed"),
                ],
                max_length=30,
            ),
        ),
        migrations.AlterField(
            model_name="webhookendpoint",
            name="kinds",
            field=django.contrib.postgres.fields.ArrayField(
                base_field=models.CharField(
                    choices=[
                        ("order.placed", "order.placed"),
                        ("order.paid", "order.paid"),
                        ("order.payment_failed", "order.payment_failed"),
                        ("order.cancelled", "order.cancelled"),
                        ("order.refunded", "order.refunded"),
                        ("order.refund_failed", "order.refund_failed"),
                        ("order.shipped", "order.shipped"),
                        ("order.shipment_undone", "order.shipment_undone"),
                        ("order.disputed", "order.disputed"),
                    ],
                    max_length=30,
                ),
                default=checkout.orders.models.webhooks.every_kind,
                size=None,
                verbose_name="is told of",
            ),
        ),
    ]
