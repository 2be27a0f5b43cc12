import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('catalogue', '0004_rules_of_prices'),
        ('orders', '0019_parts_of_the_total'),
    ]

    operations = [
        migrations.CreateModel(
            name='CodeUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('customer_key', models.CharField(editable=False, max_length=64)),
                ('is_live', models.BooleanField(default=True)),
                ('code', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='catalogue.discountcode')),
                ('order', models.OneToOneField(on_delete=django.db.models.deletion.PROTECT, related_name='code_use', to='orders.order')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('is_live', True)), fields=['code', 'customer_key'], name='orders_codeuse_live_idx')],
            },
        ),
    ]
