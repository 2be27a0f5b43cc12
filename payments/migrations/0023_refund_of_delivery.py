from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0022_invoices_of_groups"),
    ]

    operations = [
        migrations.AddField(
            model_name="refund",
            name="delivery_minor",
            field=models.PositiveBigIntegerField(db_default=0, default=0),
        ),
    ]
