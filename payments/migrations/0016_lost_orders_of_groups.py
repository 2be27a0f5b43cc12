"""Who may look at lost orders and at the installation's id, and who may say that one is seen to. A
group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# codename: (app, model, name). As in the models; Django makes them only after all migrations.
LOOK = {
    "view_lostorder": ("payments", "lostorder", "Can view lost order"),
    "view_installation": ("orders", "installation", "Can view installation"),
}
SEE_TO = {
    "see_to_lost_order": ("payments", "lostorder", "Can say that a lost order was seen to"),
}

GROUPS = {"read-only": LOOK, "support": LOOK | SEE_TO, "operations": LOOK | SEE_TO}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        for codename, (app, model, name) in GROUPS[group.name].items():
            group.permissions.add(_permission(apps, app, model, codename, name))


def _permission(apps: Apps, app: str, model: str, codename: str, name: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label=app, model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [("orders", "0017_one_spelling_of_addresses"), ("payments", "0015_old_webhook_events")]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
