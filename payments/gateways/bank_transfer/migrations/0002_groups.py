"""Who sees bank transfers, and who records them: those who see and send back all other money. A
group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

LOOK = [
    ("receivedtransfer", "view_receivedtransfer", "Can view received transfer"),
    ("returnedtransfer", "view_returnedtransfer", "Can view returned transfer"),
]
ACT = [
    ("receivedtransfer", "record_transfers", "Can record bank transfers"),
    ("returnedtransfer", "send_transfers_back", "Can say that a bank transfer was sent back"),
]
GROUPS = {"read-only": LOOK, "support": LOOK + ACT, "operations": LOOK}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        for model, codename, name in GROUPS[group.name]:
            group.permissions.add(_permission(apps, model, codename, name))


def _permission(apps: Apps, model: str, codename: str, name: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="bank_transfer", model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("bank_transfer", "0001_initial"),
        ("payments", "0024_gateways"),
        ("auth", "0012_alter_user_first_name_max_length"),
        ("contenttypes", "0002_remove_content_type_name"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
