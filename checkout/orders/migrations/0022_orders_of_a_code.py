from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock on the table, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ('orders', '0021_parts_are_checked'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('discount_code', ''), _negated=True), fields=['discount_code', '-id'], name='orders_order_code_idx'),
        ),
    ]
