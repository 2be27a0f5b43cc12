from django.conf import settings
from django.db import migrations, models


def gateway_column(default):
    return models.CharField(db_default=default, editable=False, max_length=30)


def of_the_shop():
    """The one gateway that the shop has had until now. Its name is stored with every payment that
    is there, and by the release before, which knows no such column."""
    return next(iter(settings.PAYMENT_GATEWAYS))


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0023_refund_of_delivery"),
    ]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AddField("payment", "gateway", gateway_column(of_the_shop())),
            ],
            state_operations=[
                migrations.AddField("payment", "gateway", gateway_column("")),
            ],
        ),
        migrations.RemoveConstraint("gatewayrefusal", "payments_gatewayrefusal_one_row"),
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.AddField(
                    "gatewayrefusal",
                    "gateway",
                    models.CharField(db_default=of_the_shop(), max_length=30),
                ),
            ],
            state_operations=[
                migrations.AddField(
                    "gatewayrefusal",
                    "gateway",
                    models.CharField(db_default="", max_length=30),
                ),
            ],
        ),
        migrations.AlterField(
            "gatewayrefusal",
            "id",
            models.PositiveSmallIntegerField(editable=False, primary_key=True, serialize=False),
        ),
        migrations.AddConstraint(
            "gatewayrefusal",
            models.UniqueConstraint(fields=("gateway",), name="payments_gatewayrefusal_uniq"),
        ),
        migrations.AddField(
            "lostorder",
            "gateway",
            models.CharField(blank=True, db_default="", default="", max_length=30),
        ),
        migrations.AddField(
            "webhookevent",
            "is_about_dispute",
            models.BooleanField(db_default=False, default=False),
        ),
    ]
