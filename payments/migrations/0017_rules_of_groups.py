"""Who sees and who changes tax rates, delivery methods with their prices, and discount codes. A
group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# The names are those of the models. Django makes their permissions only after all migrations.
MODELS = {
    "taxrate": "tax rate",
    "deliverymethod": "delivery method",
    "deliveryprice": "delivery price",
    "discountcode": "discount code",
}
EDIT = ("view", "add", "change", "delete")
GROUPS = {"read-only": ("view",), "support": ("view",), "operations": ("view",), "Catalogue": EDIT}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    for group in apps.get_model("auth", "Group").objects.filter(name__in=GROUPS):
        group.permissions.add(
            *(_permission(apps, model, action) for model in MODELS for action in GROUPS[group.name])
        )


def _permission(apps: Apps, model: str, action: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="catalogue", model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type,
        codename=f"{action}_{model}",
        defaults={"name": f"Can {action} {MODELS[model]}"},
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0005_rows_may_change_places"),
        ("payments", "0016_lost_orders_of_groups"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
