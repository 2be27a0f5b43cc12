from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('checkout', '0006_one_spelling_of_addresses'),
    ]

    operations = [
        migrations.AddField(
            model_name='cart',
            name='changed_at',
            field=models.DateTimeField(editable=False, null=True),
        ),
    ]
