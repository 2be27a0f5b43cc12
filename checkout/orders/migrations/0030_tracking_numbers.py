from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock on the table, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ("orders", "0029_withdrawals_are_taken_up"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="shipment",
            index=models.Index(
                condition=models.Q(("tracking_number", ""), _negated=True),
                fields=["tracking_number"],
                name="orders_shipment_tracking_idx",
            ),
        ),
    ]
