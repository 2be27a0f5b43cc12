from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0009_refund_replaces'),
    ]

    operations = [
        migrations.AddField(
            model_name='payment',
            name='installation',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=32),
        ),
    ]
