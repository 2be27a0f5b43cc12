import django.db.models.deletion
from django.db import migrations, models

# Each order that waits for a person gets its row, with the time at which the reason was noted.
COPY = """
    INSERT INTO orders_attentionreason (order_id, reason, since)
    SELECT o.id, o.needs_person, coalesce(
        (SELECT max(e.created_at) FROM orders_orderevent e
         WHERE e.order_id = o.id
           AND e.reason = left('A person must look: ' || o.needs_person, 200)),
        o.status_changed_at)
    FROM orders_order o WHERE o.needs_person <> ''
    ON CONFLICT DO NOTHING
"""


class Migration(migrations.Migration):
    """The column `needs_person` stays: the release before this one goes on reading and writing it."""

    dependencies = [
        ('orders', '0011_catch_up'),
    ]

    operations = [
        migrations.CreateModel(
            name='AttentionReason',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('reason', models.CharField(max_length=200)),
                ('since', models.DateTimeField()),
                ('resolved_at', models.DateTimeField(blank=True, null=True)),
                ('resolved_by', models.CharField(blank=True, db_default='', default='', max_length=150)),
                ('resolution', models.CharField(blank=True, db_default='', default='', max_length=1000)),
                ('order', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='attention', to='orders.order')),
            ],
            options={
                'ordering': ['id'],
                'permissions': [('resolve_attention', 'Can say that an order was seen to')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('resolved_at__isnull', True)), fields=('order', 'reason'), name='orders_attention_open_uniq')],
            },
        ),
        migrations.RunSQL(COPY, migrations.RunSQL.noop),
    ]
