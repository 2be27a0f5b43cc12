import django.db.models.deletion
import django.db.models.expressions
import payments.models
from django.contrib.postgres.operations import AddConstraintNotValid
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0036_capture_at_dispatch'),
        ('payments', '0027_told_to_gateways'),
    ]

    operations = [
        migrations.CreateModel(
            name='Capture',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('status', models.CharField(choices=[('requested', 'Asked for'), ('captured', 'Charged'), ('failed', 'Not charged')], default='requested', editable=False, max_length=20)),
                ('amount_minor', models.PositiveBigIntegerField()),
                ('is_last', models.BooleanField()),
                ('key', models.CharField(default=payments.models.new_key, editable=False, max_length=64)),
                ('failure', models.CharField(blank=True, max_length=80)),
                ('tries', models.PositiveIntegerField(default=0)),
                ('created_at', models.DateTimeField()),
                ('settled_at', models.DateTimeField(blank=True, null=True)),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='captures', to='payments.payment')),
                ('shipment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='captures', to='orders.shipment')),
            ],
            options={
                'ordering': ['id'],
                'constraints': [
                    models.UniqueConstraint(fields=('payment', 'shipment'), name='payments_capture_parcel_uniq'),
                    models.UniqueConstraint(fields=('key',), name='payments_capture_key_uniq'),
                    models.CheckConstraint(condition=models.Q(('amount_minor__gt', 0)), name='payments_capture_amount_positive'),
                    models.CheckConstraint(condition=models.Q(('status__in', ['requested', 'captured', 'failed'])), name='payments_capture_status_known'),
                ],
            },
        ),
        migrations.RemoveConstraint(
            model_name='payment',
            name='payments_payment_status_known',
        ),
        migrations.AddField(
            model_name='payment',
            name='capture_minor',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='payment',
            name='captures_later',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AddField(
            model_name='payment',
            name='released_minor',
            field=models.PositiveBigIntegerField(db_default=0, default=0, editable=False),
        ),
        migrations.AddField(
            model_name='refund',
            name='is_release',
            field=models.BooleanField(db_default=False, default=False, editable=False),
        ),
        migrations.AlterField(
            model_name='payment',
            name='status',
            field=models.CharField(choices=[('pending', 'Not begun'), ('processing', 'At the gateway'), ('unknown', 'Outcome unknown, asking'), ('needs_action', 'Waiting for the customer'), ('promised', 'Promised, the money comes in days'), ('authorised', 'Authorised, charged when it is sent'), ('paid', 'Paid'), ('declined', 'Declined'), ('cancelled', 'Cancelled'), ('expired', 'Expired at the gateway')], default='pending', editable=False, max_length=20),
        ),
        migrations.AlterField(
            model_name='paymentattempt',
            name='step',
            field=models.CharField(choices=[('open', 'Open'), ('confirm', 'Confirm'), ('retrieve', 'Ask'), ('cancel', 'Cancel'), ('capture', 'Charge what was sent'), ('refund', 'Refund'), ('refunds', 'Ask for refunds'), ('disputes', 'Ask for disputes')], max_length=10),
        ),
        AddConstraintNotValid(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['pending', 'processing', 'unknown', 'needs_action', 'promised', 'authorised', 'paid', 'declined', 'cancelled', 'expired'])), name='payments_payment_status_known'),
        ),
        AddConstraintNotValid(
            model_name='payment',
            constraint=models.CheckConstraint(condition=models.Q(('amount_minor__gte', django.db.models.expressions.CombinedExpression(models.F('capture_minor'), '+', models.F('released_minor')))), name='payments_payment_captures_no_more'),
        ),
    ]
