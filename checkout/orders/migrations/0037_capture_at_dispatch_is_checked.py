from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Without a lock that a purchase would wait for."""

    atomic = False

    dependencies = [
        ("orders", "0036_capture_at_dispatch"),
    ]

    operations = [
        ValidateConstraint(model_name="order", name="orders_order_status_known"),
        ValidateConstraint(model_name="order", name="orders_order_unsettled_is_swept"),
    ]
