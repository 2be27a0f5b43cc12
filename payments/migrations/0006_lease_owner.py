from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('payments', '0005_webhooks_of_groups'),
    ]

    operations = [
        migrations.AddField(
            model_name='payment',
            name='lease_owner',
            field=models.CharField(blank=True, db_default='', default='', editable=False, max_length=120),
        ),
    ]
