from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock on the table, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ('orders', '0009_webhooks'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('published_at__isnull', True)), fields=['order', 'id'], name='orders_outbox_older_idx'),
        ),
    ]
