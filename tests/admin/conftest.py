import importlib

import pytest
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.test import Client

from checkout.orders.models import Order

GROUPS = importlib.import_module("payments.migrations.0004_groups")
WEBHOOKS = importlib.import_module("payments.migrations.0005_webhooks_of_groups")
STOCK = importlib.import_module("payments.migrations.0007_stock_of_groups")
ATTENTION = importlib.import_module("payments.migrations.0008_attention_of_groups")
MAIL = importlib.import_module("payments.migrations.0013_mail_of_groups")

LOST_ORDERS = importlib.import_module("payments.migrations.0016_lost_orders_of_groups")


@pytest.fixture
def staff_groups(transactional_db: None) -> None:
    """As the migration makes them; tests that empty the tables take them away."""
    GROUPS.make_groups(apps, None)
    WEBHOOKS.let_groups(apps, None)
    STOCK.let_groups(apps, None)
    ATTENTION.let_groups(apps, None)
    MAIL.let_groups(apps, None)
    LOST_ORDERS.let_groups(apps, None)


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
