from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0031_order_to_send"),
    ]

    operations = [
        migrations.AddField(
            model_name="order",
            name="gateway",
            field=models.CharField(blank=True, db_default="", default="", max_length=30),
        ),
    ]
