from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Without a lock that a settlement would wait for."""

    atomic = False

    dependencies = [
        ("payments", "0028_capture_at_dispatch"),
    ]

    operations = [
        ValidateConstraint(model_name="payment", name="payments_payment_status_known"),
        ValidateConstraint(model_name="payment", name="payments_payment_captures_no_more"),
    ]
