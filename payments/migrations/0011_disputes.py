import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0010_payment_installation'),
    ]

    operations = [
        migrations.AlterField(
            model_name='paymentattempt',
            name='step',
            field=models.CharField(choices=[('open', 'Open'), ('confirm', 'Confirm'), ('retrieve', 'Ask'), ('cancel', 'Cancel'), ('refund', 'Refund'), ('refunds', 'Ask for refunds'), ('disputes', 'Ask for disputes')], max_length=10),
        ),
        migrations.CreateModel(
            name='Dispute',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('gateway_dispute_id', models.CharField(editable=False, max_length=120)),
                ('status', models.CharField(choices=[('inquiry', 'The bank asks, no money was taken'), ('needs_response', 'Needs an answer'), ('under_review', 'Under review'), ('won', 'Won'), ('lost', 'Lost'), ('closed', 'Closed, no money was taken')], editable=False, max_length=20)),
                ('amount_minor', models.PositiveBigIntegerField()),
                ('currency', models.CharField(max_length=3)),
                ('reason', models.CharField(blank=True, max_length=60)),
                ('opened_at', models.DateTimeField()),
                ('due_at', models.DateTimeField(blank=True, null=True)),
                ('closed_at', models.DateTimeField(blank=True, null=True)),
                ('payment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='disputes', to='payments.payment')),
            ],
            options={
                'ordering': ['id'],
                'indexes': [models.Index(condition=models.Q(('closed_at__isnull', True)), fields=['due_at'], name='payments_dispute_open_idx')],
                'constraints': [models.UniqueConstraint(fields=('gateway_dispute_id',), name='payments_dispute_gateway_id_uniq'), models.CheckConstraint(condition=models.Q(('status__in', ['inquiry', 'needs_response', 'under_review', 'won', 'lost', 'closed'])), name='payments_dispute_status_known')],
            },
        ),
    ]
