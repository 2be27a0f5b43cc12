from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0030_tracking_numbers"),
    ]

    operations = [
        migrations.CreateModel(
            name="OrderToSend",
            fields=[],
            options={
                "verbose_name": "order to send",
                "verbose_name_plural": "orders to send",
                "ordering": ["id"],
                "proxy": True,
                "default_permissions": (),
                "indexes": [],
                "constraints": [],
            },
            bases=("orders.order",),
        ),
    ]
