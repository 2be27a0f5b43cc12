from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("checkout", "0008_old_carts"),
    ]

    operations = [
        migrations.AlterField(
            model_name="apirequest",
            name="operation",
            field=models.CharField(
                choices=[
                    ("place_order", "Place an order"),
                    ("pay_order", "Pay with another method"),
                    ("cancel_order", "Cancel an order"),
                    ("ship_order", "Send a parcel"),
                ],
                max_length=20,
            ),
        ),
    ]
