from django.contrib.postgres.operations import (
    AddIndexConcurrently,
    RemoveIndexConcurrently,
    ValidateConstraint,
)
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock that a purchase would wait for. The release before finds its orders by the new
    index too."""

    atomic = False

    dependencies = [
        ("orders", "0036_capture_at_dispatch"),
    ]

    operations = [
        ValidateConstraint(model_name="order", name="orders_order_status_known"),
        ValidateConstraint(model_name="order", name="orders_order_unsettled_is_swept"),
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
        RemoveIndexConcurrently(model_name="order", name="orders_order_to_send_idx"),
    ]
