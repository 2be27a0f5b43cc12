from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0033_money_awaited'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_status_known',
        ),
        migrations.RemoveConstraint(
            model_name='order',
            name='orders_order_unsettled_is_swept',
        ),
        migrations.AlterField(
            model_name='mail',
            name='kind',
            field=models.CharField(choices=[('received', 'Order received'), ('still_paying', 'Payment takes longer than usual'), ('action_required', 'The bank waits for an approval'), ('promised', 'The bank sends the money within days'), ('money_awaited', 'The customer sends the money themselves'), ('payment_failed', 'Payment failed'), ('paid', 'Receipt'), ('revived', 'Paid after it was cancelled'), ('cancelled', 'Order cancelled'), ('surplus', 'Charged too much, goes back'), ('refunded', 'Refund'), ('refund_failed', 'Refund that came back'), ('link', 'Link to the order'), ('shipped', 'A parcel was sent'), ('shipment_undone', 'A parcel was marked as sent by mistake'), ('called_off', 'Cancelled after it was paid, the money goes back'), ('returned', 'A return has arrived'), ('withdrawn', 'A withdrawal was received'), ('withdrawal_agreed', 'Agreed to a withdrawal, the goods come back first'), ('withdrawal_refused', 'A withdrawal was refused'), ('shop_order', 'To the shop: a new paid order')], max_length=20),
        ),
        migrations.AlterField(
            model_name='order',
            name='status',
            field=models.CharField(choices=[('placed', 'Placed, payment under way'), ('action_required', 'Waiting for the customer at the bank'), ('promised', 'Promised by the bank, the money comes in days'), ('payment_failed', 'Payment declined'), ('paid', 'Paid'), ('partly_refunded', 'Partly refunded'), ('refunded', 'Refunded'), ('cancelled', 'Cancelled')], default='placed', max_length=20),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='status',
            field=models.CharField(choices=[('placed', 'Placed, payment under way'), ('action_required', 'Waiting for the customer at the bank'), ('promised', 'Promised by the bank, the money comes in days'), ('payment_failed', 'Payment declined'), ('paid', 'Paid'), ('partly_refunded', 'Partly refunded'), ('refunded', 'Refunded'), ('cancelled', 'Cancelled')], max_length=20),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['placed', 'action_required', 'promised', 'payment_failed', 'paid', 'partly_refunded', 'refunded', 'cancelled'])), name='orders_order_status_known'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['action_required', 'placed', 'promised']), _negated=True), ('sweep_at__isnull', False), _connector='OR'), name='orders_order_unsettled_is_swept'),
        ),
    ]
