"""Who sends parcels, takes returns in, cancels paid orders and decides about withdrawals. A group
that the shop took away stays so. The group Warehouse is new."""

from django.apps.registry import Apps
from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor

LOOK = {
    "orders": ["shipment", "shipmentline", "goodsreturn", "goodsreturnline", "withdrawal"],
    "payments": ["refundline"],
}

# codename: (model, name). As in the models; Django makes them only after all migrations.
OWN = {
    "ship_order": ("order", "Can send parcels, and take back what was marked by mistake"),
    "take_return": ("order", "Can take in what a customer sends back"),
    "cancel_paid_order": ("order", "Can cancel a paid order and have its money sent back"),
    "correct_address": ("order", "Can correct the address of an order that was not sent"),
    "add_note": ("order", "Can add a note to an order"),
    "decide_withdrawal": ("withdrawal", "Can decide about a customer's withdrawal"),
}

GROUPS = {
    "read-only": [],
    "support": [
        *("take_return", "cancel_paid_order", "correct_address", "add_note"),
        "decide_withdrawal",
    ],
    "operations": ["ship_order", "cancel_paid_order", "correct_address", "add_note"],
    "Warehouse": ["ship_order", "take_return", "add_note"],
}

# What the new group sees beside these tables.
WAREHOUSE_LOOKS = ["order", "orderline", "orderevent"]


def let_groups(apps: Apps, schema_editor: BaseDatabaseSchemaEditor | None) -> None:
    groups = apps.get_model("auth", "Group").objects
    warehouse, is_new = groups.get_or_create(name="Warehouse")
    if is_new:
        warehouse.permissions.set(
            _permission(apps, "orders", model, f"view_{model}", f"Can view {model}")
            for model in WAREHOUSE_LOOKS
        )
    look = [
        _permission(apps, app, model, f"view_{model}", f"Can view {name}")
        for app, models in LOOK.items()
        for model in models
        for name in [apps.get_model(app, model)._meta.verbose_name]
    ]
    for group in groups.filter(name__in=GROUPS):
        own = [
            _permission(apps, "orders", OWN[codename][0], codename, OWN[codename][1])
            for codename in GROUPS[group.name]
        ]
        group.permissions.add(*look, *own)


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
        ("orders", "0025_orders_to_send"),
        ("payments", "0018_refund_lines"),
    ]

    operations = [migrations.RunPython(let_groups, migrations.RunPython.noop)]
