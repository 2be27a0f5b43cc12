import django.db.models.functions.text
from django.db import migrations, models

class Migration(migrations.Migration):
    """Nothing has written to the table of withdrawals before this release, so its index and its
    constraint are built at once."""

    dependencies = [
        ('orders', '0028_what_is_erased'),
    ]

    operations = [
        migrations.AddField(
            model_name='withdrawal',
            name='decided_why',
            field=models.CharField(blank=True, db_default='', default='', max_length=1000),
        ),
        migrations.AddField(
            model_name='withdrawal',
            name='taken_up_at',
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AlterField(
            model_name='accountmail',
            name='kind',
            field=models.CharField(choices=[('password', 'A new password'), ('sign_up', 'A new account'), ('find_order', 'The link to an order'), ('withdrawal', 'A withdrawal whose order was not found')], max_length=20),
        ),
        migrations.AlterField(
            model_name='mail',
            name='kind',
            field=models.CharField(choices=[('received', 'Order received'), ('still_paying', 'Payment takes longer than usual'), ('action_required', 'The bank waits for an approval'), ('payment_failed', 'Payment failed'), ('paid', 'Receipt'), ('revived', 'Paid after it was cancelled'), ('cancelled', 'Order cancelled'), ('surplus', 'Charged too much, goes back'), ('refunded', 'Refund'), ('refund_failed', 'Refund that came back'), ('link', 'Link to the order'), ('shipped', 'A parcel was sent'), ('shipment_undone', 'A parcel was marked as sent by mistake'), ('called_off', 'Cancelled after it was paid, the money goes back'), ('returned', 'A return has arrived'), ('withdrawn', 'A withdrawal was received'), ('withdrawal_agreed', 'Agreed to a withdrawal, the goods come back first'), ('withdrawal_refused', 'A withdrawal was refused'), ('shop_order', 'To the shop: a new paid order')], max_length=20),
        ),
        migrations.AlterField(
            model_name='withdrawal',
            name='status',
            field=models.CharField(choices=[('stated', 'Stated, nobody has decided'), ('agreed', 'Agreed to'), ('refused', 'Refused'), ('closed', 'Closed without an order to decide about')], default='stated', max_length=10),
        ),
        migrations.AddIndex(
            model_name='withdrawal',
            index=models.Index(condition=models.Q(('taken_up_at__isnull', True)), fields=['id'], name='orders_withdrawal_new_idx'),
        ),
        migrations.AddConstraint(
            model_name='withdrawal',
            constraint=models.UniqueConstraint(django.db.models.functions.text.Upper('email'), models.F('number'), condition=models.Q(('status', 'stated')), name='orders_withdrawal_stated_uniq'),
        ),
    ]
