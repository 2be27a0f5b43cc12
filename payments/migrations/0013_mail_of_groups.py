"""Support and operations may correct an e-mail address and have an e-mail sent again. A group that
the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

GROUPS = ["support", "operations"]

# The model names them too, but Django makes them only after all migrations.
PERMISSIONS = {
    "correct_email": "Can correct the e-mail address of an order",
    "resend_mail": "Can have an e-mail to a customer sent again",
}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="orders", model="order"
    )
    for codename, name in PERMISSIONS.items():
        permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
            content_type=content_type, codename=codename, defaults={"name": name}
        )
        for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
            group.permissions.add(permission)


class Migration(migrations.Migration):
    dependencies = [("orders", "0016_names"), ("payments", "0012_gateway_refusal")]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
