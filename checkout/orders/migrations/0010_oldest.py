from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):
    """Without a lock on the tables, which the shop goes on writing to."""

    atomic = False

    dependencies = [
        ('orders', '0009_webhooks'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='outboxmessage',
            index=models.Index(condition=models.Q(('published_at__isnull', True)), fields=['order', 'id'], name='orders_outbox_oldest_idx'),
        ),
        AddIndexConcurrently(
            model_name='mail',
            index=models.Index(condition=models.Q(('sent_at__isnull', True)), fields=['order', 'id'], name='orders_mail_oldest_idx'),
        ),
    ]
