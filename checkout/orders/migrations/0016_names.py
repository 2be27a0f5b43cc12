from django.contrib.postgres.indexes import GinIndex
from django.contrib.postgres.operations import AddIndexConcurrently
from django.db import migrations

from checkout.orders.models.name_search import NameWords


class Migration(migrations.Migration):
    atomic = False

    dependencies = [("orders", "0015_mails_of_every_state")]

    operations = [
        migrations.AlterModelOptions(
            name="order",
            options={
                "ordering": ["-id"],
                "permissions": [
                    ("retry_order", "Can have the gateway asked about an order at once"),
                    ("cancel_order", "Can cancel an unpaid order"),
                    ("redrive_dead_letter", "Can put an order's message back into the queue"),
                    ("export_orders", "Can export orders with names and addresses"),
                    ("correct_email", "Can correct the e-mail address of an order"),
                    ("resend_mail", "Can have an e-mail to a customer sent again"),
                ],
            },
        ),
        AddIndexConcurrently(
            model_name="order",
            index=GinIndex(
                NameWords("full_name"), name="orders_order_name_idx", fastupdate=False
            ),
        ),
    ]
