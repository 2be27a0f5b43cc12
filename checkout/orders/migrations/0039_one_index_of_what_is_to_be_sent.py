from django.contrib.postgres.operations import RemoveIndexConcurrently
from django.db import migrations


class Migration(migrations.Migration):
    """The release before finds its orders to send by the new index too."""

    atomic = False

    dependencies = [
        ("orders", "0038_sendable"),
    ]

    operations = [
        RemoveIndexConcurrently(model_name="order", name="orders_order_to_send_idx"),
    ]
