"""Every table that grows has a named end, or a named reason to have none."""

import io
import json
from datetime import timedelta
from pathlib import Path

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.db import connection
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.models import Cart, CartLine
from checkout.orders.history import EVENTS_OF_RESUBMISSIONS
from checkout.orders.models import Order
from checkout.orders.placing.place import absorb_resubmission
from checkout.runtime import retention
from checkout.runtime.retention import ENDS, prune
from payments.models import WebhookEvent
from tests.support.factories import placed_order
from tests.support.shopper import Shopper

DAY = timedelta(days=1)
DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "architecture.md"


def command(*arguments: str) -> str:
    out = io.StringIO()
    call_command("prune", *arguments, stdout=out)
    return out.getvalue()


def deleted(*arguments: str) -> dict[str, int]:
    rows: dict[str, int] = json.loads(command("--json", *arguments))["rows"]
    return {name: count for name, count in rows.items() if count}


def test_every_table_is_named_once() -> None:
    models = apps.get_models(include_auto_created=True)
    has_rows = [model._meta for model in models if model._meta.managed and not model._meta.proxy]
    tables = {meta.label for meta in has_rows}

    assert tables == set(ENDS)
    assert all(end.why.endswith(".") for end in ENDS.values())
    assert all((end.after is None) == (end.ended is None) for end in ENDS.values())


def test_what_is_deleted_stands_in_the_documentation() -> None:
    written = DOCUMENT.read_text()

    for end in ENDS.values():
        if end.after:
            assert f"`{end.table}`" in written
            assert f"{end.after.days} day" in written


def old_rows(product: Product) -> None:
    """One that has ended of each, beside one that has not."""
    now = timezone.now()
    for age, key in ((-DAY, "a" * 32), (2 * DAY, "b" * 32)):
        Session.objects.create(session_key=key, session_data="", expire_date=now - age)
    for age in (80 * DAY, 91 * DAY):
        cart = Cart.objects.create(changed_at=now - age, created_at=now - 400 * DAY)
        CartLine.objects.create(cart=cart, product=product, quantity=1)
    Cart.objects.create(created_at=now - 91 * DAY)  # by a release that wrote down no change
    for age in (29 * DAY, 31 * DAY):
        attempt = AccessAttempt.objects.create(username="ada", failures_since_start=1)
        AccessAttempt.objects.filter(pk=attempt.pk).update(attempt_time=now - age)
    for name, age in (("evt_1", 89 * DAY), ("evt_2", 91 * DAY)):
        WebhookEvent.objects.create(event_id=name, kind="x", received_at=now - age)


def test_what_has_ended_goes_and_all_else_stays(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    WebhookEvent.objects.create(
        event_id="evt_3", kind="x", order=order, received_at=timezone.now() - 900 * DAY
    )
    old_rows(shelf[0])
    expected = {
        "axes.AccessAttempt": 1,
        "checkout.Cart": 2,
        "payments.WebhookEvent": 1,
        "sessions.Session": 1,
    }

    assert deleted("--dry-run") == expected
    assert deleted() == expected
    assert deleted() == {}

    assert CartLine.objects.count() == 1
    assert set(WebhookEvent.objects.values_list("event_id", flat=True)) == {"evt_1", "evt_3"}
    assert Order.objects.get() == order


def test_batches_commit_one_by_one_and_a_killed_run_is_gone_on_with(
    shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    for n in range(5):
        WebhookEvent.objects.create(
            event_id=f"evt_{n}", kind="x", received_at=timezone.now() - 91 * DAY
        )

    def dies(done: int) -> None:
        raise KeyboardInterrupt

    end = ENDS["payments.WebhookEvent"]
    with pytest.raises(KeyboardInterrupt):
        prune(end, now=timezone.now(), progress=dies)
    assert WebhookEvent.objects.count() == 3

    assert prune(end, now=timezone.now()) == 3


def test_row_that_somebody_works_on_is_left_for_the_next_run(
    shelf: list[Product],
) -> None:
    import psycopg

    from tests.support.processes import database_url

    cart = Cart.objects.create(changed_at=timezone.now() - 91 * DAY)
    end = ENDS["checkout.Cart"]
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT FROM checkout_cart WHERE checkout_id = %s FOR UPDATE", [cart.pk])
        assert prune(end, now=timezone.now()) == 0

    assert prune(end, now=timezone.now()) == 1


@pytest.mark.parametrize(
    ("table", "index"),
    [
        ("sessions.Session", "django_session_expire_date"),
        ("checkout.Cart", "checkout_cart_old_idx"),
        ("payments.WebhookEvent", "payments_webhookevent_old_idx"),
    ],
)
def test_ended_rows_are_found_by_an_index(table: str, index: str, db: None) -> None:
    rows = ENDS[table].ended
    assert rows
    with connection.cursor() as cursor:
        # Whatever the planner thinks of so few rows.
        cursor.execute("SET enable_seqscan = off; SET enable_sort = off")
        plan = rows(timezone.now())[:10].explain()
        cursor.execute("RESET enable_seqscan; RESET enable_sort")

    assert index in plan
    assert "Sort" not in plan


def test_change_of_a_cart_is_written_down(shopper: Shopper, shelf: list[Product]) -> None:
    shopper.add_to_cart("SKU-01")
    Cart.objects.update(changed_at=None)
    shopper.add_to_cart("SKU-02")

    changed_at = Cart.objects.get().changed_at
    assert changed_at
    assert abs(timezone.now() - changed_at) < timedelta(minutes=1)


def test_presses_are_all_counted_and_a_few_are_events(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    for _ in range(300):
        absorb_resubmission(order, [order.content_digest], now=timezone.now())
    for _ in range(3):
        absorb_resubmission(order, ["other content"], now=timezone.now())

    order.refresh_from_db()
    assert order.resubmission_count == 303
    assert order.events.filter(kind="resubmitted").count() == EVENTS_OF_RESUBMISSIONS
    assert order.events.filter(kind="resubmitted_changed").count() == 1


def test_list_says_what_ends_each_table(db: None) -> None:
    assert json.loads(command("--list", "--json"))["checkout.Cart"]["after_days"] == 90
    assert "orders.Order " in command("--list")
