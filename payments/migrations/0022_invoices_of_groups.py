"""Who sees invoices and credit notes: everybody who sees orders and payments. A group that the shop
took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

GROUPS = ("read-only", "support", "operations")


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="orders", model="invoice"
    )
    # Django would make the same, after the last migration.
    look, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename="view_invoice", defaults={"name": "Can view invoice"}
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(look)


class Migration(migrations.Migration):
    dependencies = [
        ("orders", "0026_invoices"),
        ("payments", "0021_held_orders"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
