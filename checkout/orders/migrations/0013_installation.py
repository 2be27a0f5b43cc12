import django.db.models.functions.datetime
from django.apps.registry import Apps
from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

import checkout.orders.models


def draw(apps: Apps, schema_editor: BaseDatabaseSchemaEditor) -> None:
    apps.get_model("orders", "Installation").objects.get_or_create(pk=1)


class Migration(migrations.Migration):

    dependencies = [
        ('orders', '0012_attention'),
    ]

    operations = [
        migrations.CreateModel(
            name='Installation',
            fields=[
                ('id', models.PositiveSmallIntegerField(default=1, editable=False, primary_key=True, serialize=False)),
                ('installation_id', models.CharField(default=checkout.orders.models.new_installation_id, editable=False, max_length=32)),
                ('drawn_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
            ],
            options={
                'verbose_name_plural': 'installation',
                'constraints': [models.CheckConstraint(condition=models.Q(('pk', 1)), name='orders_installation_one_row')],
            },
        ),
        migrations.RunPython(draw, migrations.RunPython.noop),
    ]
