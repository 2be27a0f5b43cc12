"""Who sees and who writes the shop's texts. A group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

EDIT = ("view", "add", "change", "delete")
GROUPS = {"read-only": ("view",), "support": ("view",), "operations": ("view",), "Catalogue": EDIT}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(*(_permission(apps, action) for action in GROUPS[group.name]))


def _permission(apps: Apps, action: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="texts", model="shoptext"
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=f"{action}_shoptext",
        defaults={"name": f"Can {action} text"},
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("payments", "0019_dispatch_of_groups"),
        ("texts", "0001_shop_texts"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
