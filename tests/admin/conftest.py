import importlib
from functools import cache

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, Permission, User
from django.db import transaction
from django.test import Client

from checkout.orders.models import Order

GROUPS = importlib.import_module("payments.migrations.0004_groups")
WEBHOOKS = importlib.import_module("payments.migrations.0005_webhooks_of_groups")
STOCK = importlib.import_module("payments.migrations.0007_stock_of_groups")
ATTENTION = importlib.import_module("payments.migrations.0008_attention_of_groups")
MAIL = importlib.import_module("payments.migrations.0013_mail_of_groups")
LOST_ORDERS = importlib.import_module("payments.migrations.0016_lost_orders_of_groups")
RULES = importlib.import_module("payments.migrations.0017_rules_of_groups")
DISPATCH = importlib.import_module("payments.migrations.0019_dispatch_of_groups")
TEXTS = importlib.import_module("payments.migrations.0020_texts_of_groups")
INVOICES = importlib.import_module("payments.migrations.0022_invoices_of_groups")
TRANSFERS = importlib.import_module("payments.gateways.bank_transfer.migrations.0002_groups")


PERMISSION = "content_type__app_label", "content_type__model", "codename"


@pytest.fixture
def staff_groups(transactional_db: None) -> None:
    """As the migrations make them; tests that empty the tables take them away."""
    if Group.objects.exists():
        return
    ids = {tuple(name): pk for pk, *name in Permission.objects.values_list("pk", *PERMISSION)}
    members = Group.permissions.through.objects
    allowed = _allowed_by_group()
    groups = Group.objects.bulk_create([Group(name=name) for name in allowed])
    members.bulk_create(
        members.model(group=group, permission_id=ids[each])
        for group in groups
        for each in allowed[group.name]
    )


@cache
def _allowed_by_group() -> dict[str, list[tuple[str, ...]]]:
    """What the migrations let each group do, worked out once, since they ask for each permission
    by itself. Nothing stays in the database."""
    with transaction.atomic():
        GROUPS.make_groups(apps, None)
        for each in (
            *(WEBHOOKS, STOCK, ATTENTION, MAIL, LOST_ORDERS, RULES, DISPATCH, TEXTS),
            *(INVOICES, TRANSFERS),
        ):
            each.let_groups(apps, None)
        allowed = {
            group.name: [tuple(each) for each in group.permissions.values_list(*PERMISSION)]
            for group in Group.objects.all()
        }
        transaction.set_rollback(True)
    return allowed


def signed_in(name: str, *, group: str = "", is_staff: bool = True) -> Client:
    user = User.objects.create_user(name, password="look", is_staff=is_staff)
    if group:
        user.groups.add(Group.objects.get(name=group))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def support(staff_groups: None) -> Client:
    return signed_in("support", group="support")


@pytest.fixture
def operator(staff_groups: None) -> Client:
    return signed_in("operator", group="operations")


@pytest.fixture
def grocer(staff_groups: None) -> Client:
    return signed_in("grocer", group="Catalogue")


def order_page(client: Client, order: Order) -> str:
    return client.get(f"/admin/orders/order/{order.pk}/change/").content.decode()
