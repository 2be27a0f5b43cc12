
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('checkout', '0010_promised'),
    ]

    operations = [
        migrations.AlterField(
            model_name='apirequest',
            name='order_status',
            field=models.CharField(choices=[('placed', 'Placed, payment under way'), ('action_required', 'Waiting for the customer at the bank'), ('promised', 'Promised by the bank, the money comes in days'), ('authorised', 'Set aside by the bank, charged when it is sent'), ('payment_failed', 'Payment declined'), ('paid', 'Paid'), ('partly_refunded', 'Partly refunded'), ('refunded', 'Refunded'), ('cancelled', 'Cancelled')], max_length=20),
        ),
    ]
