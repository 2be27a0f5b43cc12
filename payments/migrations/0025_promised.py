from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0034_promised'),
        ('payments', '0024_gateways'),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='payment',
            name='payments_payment_status_known',
        ),
        migrations.AlterField(
            model_name='payment',
            name='status',
            field=models.CharField(choices=[('pending', 'Not begun'), ('processing', 'At the gateway'), ('unknown', 'Outcome unknown, asking'), ('needs_action', 'Waiting for the customer'), ('promised', 'Promised, the money comes in days'), ('paid', 'Paid'), ('declined', 'Declined'), ('cancelled', 'Cancelled')], default='pending', editable=False, max_length=20),
        ),
        AddConstraintNotValid(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'unknown', 'needs_action', 'promised', 'paid', 'declined', 'cancelled'])), name='payments_payment_status_known'),
        ),
    ]
