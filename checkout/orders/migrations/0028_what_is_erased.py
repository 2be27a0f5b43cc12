from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations, models


class Migration(migrations.Migration):

    # The shop goes on writing while the indexes are built.
    atomic = False

    dependencies = [
        ('orders', '0027_shipment_undone'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='order',
            index=models.Index(condition=models.Q(('erased_at__isnull', True)), fields=['placed_at'], name='orders_order_not_erased_idx'),
        ),
        AddIndexConcurrently(
            model_name='withdrawal',
            index=models.Index(condition=models.Q(('decided_at__isnull', False), ('order__isnull', True)), fields=['decided_at'], name='orders_withdrawal_old_idx'),
        ),
    ]
