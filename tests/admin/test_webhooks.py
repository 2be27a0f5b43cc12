"""What staff see of the shop's other systems, and how these are told again."""

import importlib

import pytest
from django.apps import apps
from django.contrib.auth.models import Group
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order, OrderEvent, WebhookDelivery, WebhookEndpoint
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks.endpoints import add_endpoint
from tests.admin.conftest import order_page
from tests.support.factories import placed_order
from tests.support.webhook_kinds import AFTER_PLACING

LIST = "/admin/orders/webhookdelivery/"
WHY = {"why": "The warehouse has lost it"}


@pytest.fixture
def endpoint(transactional_db: None) -> WebhookEndpoint:
    return add_endpoint("http://127.0.0.1:9/hooks?key=of-the-address", AFTER_PLACING)


@pytest.fixture
def given_up(shelf: list[Product], endpoint: WebhookEndpoint) -> Order:
    order = placed_order(shelf[0])
    transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
    WebhookDelivery.objects.update(gave_up_at=timezone.now(), tries=31, last_status=503)
    return order


def test_story_tells_what_other_systems_heard(support: Client, given_up: Order) -> None:
    page = order_page(support, given_up)

    assert "Given up: order.paid to 127.0.0.1" in page
    assert "tried 31 ×, answered 503" in page
    assert "of-the-address" not in page


def test_delivery_is_sent_again_with_a_reason_once(support: Client, given_up: Order) -> None:
    delivery = WebhookDelivery.objects.get()
    page = support.get(f"{LIST}{delivery.pk}/change/").content.decode()
    assert f"{LIST}{delivery.pk}/resend/" in page

    assert support.post(f"{LIST}{delivery.pk}/resend/", {"why": " "}).status_code == 200
    assert WebhookDelivery.objects.get().gave_up_at
    for _ in range(2):
        assert support.post(f"{LIST}{delivery.pk}/resend/", WHY).status_code == 302

    delivery.refresh_from_db()
    assert (delivery.gave_up_at, delivery.tries) == (None, 0)
    event = given_up.events.get(kind=OrderEvent.Kind.STAFF)
    assert (event.actor, event.explanation) == ("support", WHY["why"])


def test_endpoint_that_is_off_says_so_and_nothing_is_sent(support: Client, given_up: Order) -> None:
    WebhookEndpoint.objects.update(is_active=False)

    answer = support.post(f"{LIST}{WebhookDelivery.objects.get().pk}/resend/", WHY)

    assert "switched off" in answer.content.decode()
    assert WebhookDelivery.objects.get().gave_up_at


def test_log_is_filtered_by_state(support: Client, given_up: Order) -> None:
    found = {
        state
        for state in ("undelivered", "given-up", "waiting", "delivered")
        if given_up.number in support.get(LIST, {"state": state}).content.decode()
    }

    assert found == {"undelivered", "given-up"}


def test_log_is_found_by_order_and_runs_the_same_statements_for_any_number(
    support: Client, given_up: Order, shelf: list[Product]
) -> None:
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            assert given_up.number in support.get(LIST).content.decode()
        return len(captured)

    assert given_up.number in support.get(LIST, {"q": given_up.number}).content.decode()
    assert given_up.number not in support.get(LIST, {"q": "nonsense"}).content.decode()
    before = statements()
    for _ in range(10):
        other = placed_order(shelf[0])
        transition(other.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    assert statements() == before


def test_no_page_shows_a_secret(support: Client, endpoint: WebhookEndpoint) -> None:
    for path in ("", f"{endpoint.pk}/change/"):
        page = support.get(f"/admin/orders/webhookendpoint/{path}").content.decode()
        assert "127.0.0.1" in page
        assert endpoint.secret.removeprefix("whsec_") not in page


def test_group_that_the_shop_took_away_is_not_made_again(staff_groups: None) -> None:
    migration = importlib.import_module("payments.migrations.0005_webhooks_of_groups")
    Group.objects.filter(name="support").delete()

    migration.let_groups(apps, None)

    assert not Group.objects.filter(name="support").exists()
    operations = Group.objects.get(name="operations").permissions
    assert operations.filter(codename="resend_webhook").exists()
