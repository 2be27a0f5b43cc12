from django.contrib.postgres.operations import ValidateConstraint
from django.db import migrations


class Migration(migrations.Migration):
    """Without a lock that a purchase would wait for."""

    atomic = False

    dependencies = [
        ('orders', '0020_code_uses'),
    ]

    operations = [
        ValidateConstraint(model_name='order', name='orders_order_total_is_its_parts'),
    ]
