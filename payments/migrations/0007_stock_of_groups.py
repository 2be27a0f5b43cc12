"""Who may do what with the stock. A group that the shop took away stays so."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

# codename: (model, name). As in the models; Django makes them only after all migrations.
LOOK = {"view_stockmovement": ("stockmovement", "Can view stock movement")}
EDIT = {
    "view_product": ("product", "Can view product"),
    "add_product": ("product", "Can add product"),
    "change_product": ("product", "Can change product"),
    "move_stock": ("stockmovement", "Can change how many pieces of a product there are"),
}
RESTOCK = {
    "restock_order": ("stockmovement", "Can put an order's returned goods back in stock"),
}

CATALOGUE = "Catalogue"
GROUPS = {"read-only": LOOK, "support": LOOK | RESTOCK, "operations": LOOK | RESTOCK}


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    Group = apps.get_model("auth", "Group")  # noqa: N806 - a class
    _, is_new = Group.objects.get_or_create(name=CATALOGUE)
    groups = GROUPS | ({CATALOGUE: LOOK | EDIT} if is_new else {})
    for group in Group.objects.filter(name__in=groups):
        for codename, (model, name) in groups[group.name].items():
            group.permissions.add(_permission(apps, model, codename, name))


def _permission(apps: Apps, model: str, codename: str, name: str) -> object:
    """Django would make the same, after the last migration."""
    content_type, _ = apps.get_model("contenttypes", "ContentType").objects.get_or_create(
        app_label="catalogue", model=model
    )
    permission, _ = apps.get_model("auth", "Permission").objects.get_or_create(
        content_type=content_type, codename=codename, defaults={"name": name}
    )
    return permission


class Migration(migrations.Migration):
    dependencies = [
        ("catalogue", "0003_opening_balances"),
        ("payments", "0006_lease_owner"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
