from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models
from django.db.models.functions import Coalesce


class Migration(migrations.Migration):
    """Without a lock on the table, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ('checkout', '0007_cart_changed_at'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='cart',
            index=models.Index(Coalesce('changed_at', 'created_at'), name='checkout_cart_old_idx'),
        ),
    ]
