"""What the groups of a shop's staff may do with webhooks. A group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# codename: (model, name). As in the models; Django makes them only after all migrations.
LOOK = {
    "view_webhookendpoint": ("webhookendpoint", "Can view webhook endpoint"),
    "view_webhookdelivery": ("webhookdelivery", "Can view webhook delivery"),
}
RESEND = {"resend_webhook": ("webhookdelivery", "Can tell another system of an order again")}

GROUPS = {"read-only": LOOK, "support": LOOK | RESEND, "operations": LOOK | RESEND}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        for codename, (model, name) in GROUPS[group.name].items():
            group.permissions.add(_permission(apps, model, codename, name))


def _permission(apps: Apps, model: str, codename: str, name: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="orders", model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("orders", "0009_webhooks"), ("payments", "0004_groups")]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
