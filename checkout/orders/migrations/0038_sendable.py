from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock on the table, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ("orders", "0037_capture_at_dispatch_is_checked"),
    ]

    operations = [
        AddIndexConcurrently(
            model_name="order",
            index=models.Index(
                condition=models.Q(
                    ("dispatch_status__in", ["unsent", "partly_sent"]),
                    ("is_held", False),
                    ("status__in", ["paid", "partly_refunded", "authorised"]),
                ),
                fields=["id"],
                name="orders_order_sendable_idx",
            ),
        ),
    ]
