"""Support and operations may say that an order was seen to. A group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

GROUPS = ["support", "operations"]


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="orders", model="attentionreason"
    )
    # Django would make the same, after the last migration.
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename="resolve_attention",
        defaults={"name": "Can say that an order was seen to"},
    )
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("orders", "0012_attention"), ("payments", "0007_stock_of_groups")]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
