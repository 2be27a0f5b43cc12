"""Three groups for a shop's staff. Only made here: what a shop changes about them stays."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

LOOK = {
    "orders": ["order", "orderline", "orderevent", "outboxmessage", "mail"],
    "payments": ["payment", "paymentattempt", "refund", "webhookevent"],
    "catalogue": ["product"],
}

# codename: (app, model, name). As in the models; Django makes them only after all migrations.
OWN = {
    "retry_order": ("orders", "order", "Can have the gateway asked about an order at once"),
    "cancel_order": ("orders", "order", "Can cancel an unpaid order"),
    "redrive_dead_letter": ("orders", "order", "Can put an order's message back into the queue"),
    "export_orders": ("orders", "order", "Can export orders with names and addresses"),
    "resolve_outcome": ("payments", "payment", "Can say what became of an unknown payment"),
    "request_refund": ("payments", "refund", "Can send money back to a customer"),
}

GROUPS = {
    "read-only": [],
    "support": ["retry_order", "cancel_order", "request_refund", "export_orders"],
    "operations": [
        *("retry_order", "cancel_order", "redrive_dead_letter", "resolve_outcome"),
        "export_orders",
    ],
}


def make_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    Group = apps.get_model("auth", "Group")  # noqa: N806 - a class
    look = [
        _permission(apps, app, model, f"view_{model}", f"Can view {model}")
        for app, models in LOOK.items()
        for model in models
    ]
    own = {
        codename: _permission(apps, app, model, codename, name)
        for codename, (app, model, name) in OWN.items()
    }
    for name, codenames in GROUPS.items():
        group, is_new = Group.objects.get_or_create(name=name)
        if is_new:
            group.permissions.set([*look, *(own[codename] for codename in codenames)])


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
    dependencies = [
        ("auth", "0012_alter_user_first_name_max_length"),
        ("catalogue", "0001_initial"),
        ("contenttypes", "0002_remove_content_type_name"),
        ("orders", "0005_support"),
        ("payments", "0003_staff"),
    ]

    operations = [migrations.RunPython(make_groups, migrations.RunPython.noop)]
