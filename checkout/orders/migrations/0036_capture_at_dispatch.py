import checkout.orders.models.webhooks
import django.contrib.postgres.fields
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0035_promised_is_checked'),
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
        migrations.AddField(
            model_name='order',
            name='authorised_until',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='goes_in_one_parcel',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AlterField(
            model_name='mail',
            name='kind',
            field=models.CharField(choices=[('received', 'Order received'), ('still_paying', 'Payment takes longer than usual'), ('action_required', 'The bank waits for an approval'), ('promised', 'The bank sends the money within days'), ('authorised', 'The bank has set the money aside'), ('money_awaited', 'The customer sends the money themselves'), ('payment_failed', 'Payment failed'), ('paid', 'Receipt'), ('revived', 'Paid after it was cancelled'), ('cancelled', 'Order cancelled'), ('surplus', 'Charged too much, goes back'), ('refunded', 'Refund'), ('released', 'Not charged, for what is not sent'), ('refund_failed', 'Refund that came back'), ('link', 'Link to the order'), ('shipped', 'A parcel was sent'), ('shipment_undone', 'A parcel was marked as sent by mistake'), ('called_off', 'Cancelled after it was paid, the money goes back'), ('returned', 'A return has arrived'), ('withdrawn', 'A withdrawal was received'), ('withdrawal_agreed', 'Agreed to a withdrawal, the goods come back first'), ('withdrawal_refused', 'A withdrawal was refused'), ('shop_order', 'To the shop: a new paid order')], max_length=20),
        ),
        migrations.AlterField(
            model_name='order',
            name='status',
            field=models.CharField(choices=[('placed', 'Placed, payment under way'), ('action_required', 'Waiting for the customer at the bank'), ('promised', 'Promised by the bank, the money comes in days'), ('authorised', 'Set aside by the bank, charged when it is sent'), ('payment_failed', 'Payment declined'), ('paid', 'Paid'), ('partly_refunded', 'Partly refunded'), ('refunded', 'Refunded'), ('cancelled', 'Cancelled')], default='placed', max_length=20),
        ),
        migrations.AlterField(
            model_name='outboxmessage',
            name='kind',
            field=models.CharField(choices=[('settle_payment', 'Settle the payment'), ('check_payment', 'Ask the gateway about all its payments'), ('refund', 'Send money back'), ('cancel_order', 'Cancel it, unless it is paid'), ('capture', 'Charge what was sent')], max_length=30),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='kind',
            field=models.CharField(choices=[('order.placed', 'order.placed'), ('order.authorised', 'order.authorised'), ('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed'), ('order.shipped', 'order.shipped'), ('order.shipment_undone', 'order.shipment_undone'), ('order.disputed', 'order.disputed')], max_length=30),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='status',
            field=models.CharField(choices=[('placed', 'Placed, payment under way'), ('action_required', 'Waiting for the customer at the bank'), ('promised', 'Promised by the bank, the money comes in days'), ('authorised', 'Set aside by the bank, charged when it is sent'), ('payment_failed', 'Payment declined'), ('paid', 'Paid'), ('partly_refunded', 'Partly refunded'), ('refunded', 'Refunded'), ('cancelled', 'Cancelled')], max_length=20),
        ),
        migrations.AlterField(
            model_name='webhookendpoint',
            name='kinds',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('order.placed', 'order.placed'), ('order.authorised', 'order.authorised'), ('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed'), ('order.shipped', 'order.shipped'), ('order.shipment_undone', 'order.shipment_undone'), ('order.disputed', 'order.disputed')], max_length=30), default=checkout.orders.models.webhooks.every_kind, size=None, verbose_name='is told of'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['placed', 'action_required', 'promised', 'authorised', 'payment_failed', 'paid', 'partly_refunded', 'refunded', 'cancelled'])), name='orders_order_status_known'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(models.Q(('status__in', ['action_required', 'authorised', 'placed', 'promised']), _negated=True), ('sweep_at__isnull', False), _connector='OR'), name='orders_order_unsettled_is_swept'),
        ),
    ]
