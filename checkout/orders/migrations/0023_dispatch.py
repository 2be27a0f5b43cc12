import checkout.orders.models.webhooks
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.expressions
import django.db.models.functions.datetime
from django.conf import settings
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalogue', '0005_rows_may_change_places'),
        ('orders', '0022_orders_of_a_code'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='GoodsReturn',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(editable=False, max_length=100)),
                ('taken_by', models.CharField(max_length=150)),
                ('taken_at', models.DateTimeField()),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='goods_return', to='orders.orderevent')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='returns', to='orders.order')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='GoodsReturnLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.PositiveIntegerField()),
                ('restocked', models.PositiveIntegerField(default=0)),
                ('goods_return', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='orders.goodsreturn')),
                ('line', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.orderline')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Shipment',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(editable=False, max_length=100)),
                ('method', models.CharField(blank=True, max_length=80)),
                ('tracking_number', models.CharField(blank=True, max_length=80)),
                ('tracking_link', models.CharField(blank=True, max_length=500)),
                ('sent_by', models.CharField(max_length=150)),
                ('sent_at', models.DateTimeField()),
                ('undone_at', models.DateTimeField(blank=True, null=True)),
                ('event', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='shipment', to='orders.orderevent')),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='shipments', to='orders.order')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='ShipmentLine',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('quantity', models.PositiveIntegerField()),
                ('line', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='orders.orderline')),
                ('shipment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='lines', to='orders.shipment')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Withdrawal',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('key', models.CharField(editable=False, max_length=100)),
                ('number', models.CharField(max_length=40)),
                ('full_name', models.CharField(max_length=200)),
                ('email', models.EmailField(max_length=254)),
                ('about', models.CharField(blank=True, max_length=1000)),
                ('language', models.CharField(blank=True, default='', max_length=10)),
                ('stated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('status', models.CharField(choices=[('stated', 'Stated, nobody has decided'), ('agreed', 'Agreed to'), ('refused', 'Refused')], default='stated', max_length=10)),
                ('decided_at', models.DateTimeField(blank=True, null=True)),
                ('decided_by', models.CharField(blank=True, default='', max_length=150)),
                ('event', models.OneToOneField(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='withdrawal', to='orders.orderevent')),
                ('order', models.ForeignKey(blank=True, null=True, on_delete=django.db.models.deletion.PROTECT, related_name='withdrawals', to='orders.order')),
            ],
            options={
                'ordering': ['-id'],
                'permissions': [('decide_withdrawal', "Can decide about a customer's withdrawal")],
            },
        ),
        migrations.AlterModelOptions(
            name='order',
            options={'ordering': ['-id'], 'permissions': [('retry_order', 'Can have the gateway asked about an order at once'), ('cancel_order', 'Can cancel an unpaid order'), ('redrive_dead_letter', "Can put an order's message back into the queue"), ('export_orders', 'Can export orders with names and addresses'), ('correct_email', 'Can correct the e-mail address of an order'), ('resend_mail', 'Can have an e-mail to a customer sent again'), ('ship_order', 'Can send parcels, and take back what was marked by mistake'), ('take_return', 'Can take in what a customer sends back'), ('cancel_paid_order', 'Can cancel a paid order and have its money sent back'), ('correct_address', 'Can correct the address of an order that was not sent'), ('add_note', 'Can add a note to an order')]},
        ),
        # Orders that are there get the empty value: nobody wrote down what was sent of them. Those
        # that are placed from now on, by the release before this one too, are unsent.
        migrations.AddField(
            model_name='order',
            name='dispatch_status',
            field=models.CharField(blank=True, choices=[('', 'Not recorded'), ('unsent', 'Nothing sent yet'), ('partly_sent', 'Partly sent'), ('sent', 'Sent'), ('returned', 'All came back'), ('called_off', 'Called off before it was sent'), ('nothing_to_send', 'Nothing to send')], db_default='', default='', editable=False, max_length=20),
        ),
        migrations.AlterField(
            model_name='order',
            name='dispatch_status',
            field=models.CharField(blank=True, choices=[('', 'Not recorded'), ('unsent', 'Nothing sent yet'), ('partly_sent', 'Partly sent'), ('sent', 'Sent'), ('returned', 'All came back'), ('called_off', 'Called off before it was sent'), ('nothing_to_send', 'Nothing to send')], db_default='unsent', default='unsent', editable=False, max_length=20),
        ),
        migrations.AddField(
            model_name='order',
            name='erased_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AddField(
            model_name='order',
            name='is_held',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name='order',
            name='link_version',
            field=models.PositiveSmallIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='orderline',
            name='called_off',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='is_delivered',
            field=models.BooleanField(db_default=True, default=True),
        ),
        migrations.AddField(
            model_name='orderline',
            name='refunded',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='put_back',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='returned',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AddField(
            model_name='orderline',
            name='shipped',
            field=models.PositiveIntegerField(db_default=0, default=0),
        ),
        migrations.AlterField(
            model_name='mail',
            name='kind',
            field=models.CharField(choices=[('received', 'Order received'), ('still_paying', 'Payment takes longer than usual'), ('action_required', 'The bank waits for an approval'), ('payment_failed', 'Payment failed'), ('paid', 'Receipt'), ('revived', 'Paid after it was cancelled'), ('cancelled', 'Order cancelled'), ('surplus', 'Charged too much, goes back'), ('refunded', 'Refund'), ('refund_failed', 'Refund that came back'), ('link', 'Link to the order'), ('shipped', 'A parcel was sent'), ('shipment_undone', 'A parcel was marked as sent by mistake'), ('called_off', 'Cancelled after it was paid, the money goes back'), ('returned', 'A return has arrived'), ('withdrawn', 'A withdrawal was received'), ('shop_order', 'To the shop: a new paid order')], max_length=20),
        ),
        migrations.AlterField(
            model_name='webhookdelivery',
            name='kind',
            field=models.CharField(choices=[('order.placed', 'order.placed'), ('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed'), ('order.shipped', 'order.shipped'), ('order.disputed', 'order.disputed')], max_length=30),
        ),
        migrations.AlterField(
            model_name='webhookendpoint',
            name='kinds',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.CharField(choices=[('order.placed', 'order.placed'), ('order.paid', 'order.paid'), ('order.payment_failed', 'order.payment_failed'), ('order.cancelled', 'order.cancelled'), ('order.refunded', 'order.refunded'), ('order.refund_failed', 'order.refund_failed'), ('order.shipped', 'order.shipped'), ('order.disputed', 'order.disputed')], max_length=30), default=checkout.orders.models.webhooks.every_kind, size=None, verbose_name='is told of'),
        ),
        AddConstraintNotValid(
            model_name='order',
            constraint=models.CheckConstraint(condition=models.Q(('dispatch_status__in', ['', 'unsent', 'partly_sent', 'sent', 'returned', 'called_off', 'nothing_to_send'])), name='orders_order_dispatch_known'),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gte', django.db.models.expressions.CombinedExpression(models.F('shipped'), '+', models.F('called_off')))), name='orders_orderline_sent_at_most'),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('shipped__gte', models.F('returned'))), name='orders_orderline_returned_was_sent'),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('put_back__lte', django.db.models.expressions.CombinedExpression(models.F('called_off'), '+', models.F('returned')))), name='orders_orderline_put_back_at_most'),
        ),
        AddConstraintNotValid(
            model_name='orderline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gte', models.F('refunded'))), name='orders_orderline_refunded_at_most'),
        ),
        migrations.AddConstraint(
            model_name='goodsreturn',
            constraint=models.UniqueConstraint(fields=('key',), name='orders_goodsreturn_key_uniq'),
        ),
        migrations.AddConstraint(
            model_name='goodsreturnline',
            constraint=models.UniqueConstraint(fields=('goods_return', 'line'), name='orders_goodsreturnline_line_uniq'),
        ),
        migrations.AddConstraint(
            model_name='goodsreturnline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0), ('quantity__gte', models.F('restocked'))), name='orders_goodsreturnline_quantities'),
        ),
        migrations.AddConstraint(
            model_name='shipment',
            constraint=models.UniqueConstraint(fields=('key',), name='orders_shipment_key_uniq'),
        ),
        migrations.AddConstraint(
            model_name='shipmentline',
            constraint=models.UniqueConstraint(fields=('shipment', 'line'), name='orders_shipmentline_line_uniq'),
        ),
        migrations.AddConstraint(
            model_name='shipmentline',
            constraint=models.CheckConstraint(condition=models.Q(('quantity__gt', 0)), name='orders_shipmentline_quantity_positive'),
        ),
        migrations.AddIndex(
            model_name='withdrawal',
            index=models.Index(condition=models.Q(('status', 'stated')), fields=['id'], name='orders_withdrawal_open_idx'),
        ),
        migrations.AddConstraint(
            model_name='withdrawal',
            constraint=models.UniqueConstraint(fields=('key',), name='orders_withdrawal_key_uniq'),
        ),
        migrations.AddConstraint(
            model_name='withdrawal',
            constraint=models.UniqueConstraint(condition=models.Q(('status', 'stated')), fields=('order',), name='orders_withdrawal_open_uniq'),
        ),
    ]
