"""Hosts whose clocks are wrong stamp and judge as all others do: by the database's clock."""

import ast
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits.rates import read_rates
from checkout.orders.mail.send import is_mail_due
from checkout.orders.models import LimitCount, Order, OutboxMessage
from checkout.orders.outbox.publish import claim
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.runtime import clock
from checkout.runtime.clock import database_now
from tests.payments.test_webhooks import SECRET, event, send, signature
from tests.support.factories import placed_order
from tests.support.shopper import Shopper

ROOT = Path(__file__).resolve().parents[2]
TEN_MINUTES = timedelta(minutes=10)
SOON = timedelta(seconds=30)

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def on_a_host(ahead: timedelta) -> Iterator[None]:
    """In a process that begins there: all of its clocks are wrong by so much."""
    real_time, real_steady, real_now = time.time, clock.steady, timezone.now
    seconds = ahead.total_seconds()
    connection.close()
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(time, "time", lambda: real_time() + seconds)
            patch.setattr(clock, "steady", lambda: real_steady() + seconds)
            patch.setattr(timezone, "now", lambda: real_now() + ahead)
            patch.setattr(clock, "_ahead", None)
            yield
    finally:
        connection.close()


def told_by_the_database() -> datetime:
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        [now] = cursor.fetchone()
    assert isinstance(now, datetime)
    return now


def is_now(moment: datetime | None) -> bool:
    return moment is not None and abs(moment - told_by_the_database()) < SOON


@pytest.fixture(params=[TEN_MINUTES, -TEN_MINUTES], ids=["ahead", "behind"])
def skew(request: pytest.FixtureRequest) -> timedelta:
    skew: timedelta = request.param
    return skew


def test_order_of_a_wrong_host_goes_out_at_once(
    skew: timedelta, shelf: list[Product], shopper: Shopper
) -> None:
    with on_a_host(skew):
        shopper.add_to_cart("SKU-01")
        assert shopper.submit(shopper.open_checkout()).status == 303

    order = Order.objects.get()
    assert is_now(order.placed_at)
    assert order.sweep_at
    assert is_now(order.sweep_at - timedelta(minutes=15))
    assert is_mail_due(now=told_by_the_database())
    assert [message.order for message in claim(now=told_by_the_database())] == [order]


def test_publisher_on_a_wrong_host_takes_what_is_due_and_sweeps_nothing_early(
    skew: timedelta, shelf: list[Product], settings: Settings
) -> None:
    settings.SWEEP_AFTER_SECONDS = 300
    order = placed_order(shelf[0])
    connection.close()

    with on_a_host(skew):
        assert sweep(now=database_now()) == 0
        assert [message.order for message in claim(now=database_now())] == [order]
        assert is_mail_due(now=database_now())
    OutboxMessage.objects.update(published_at=told_by_the_database())
    Order.objects.update(sweep_at=told_by_the_database() - timedelta(minutes=1))
    with on_a_host(skew):
        assert sweep(now=database_now()) == 1


def test_expiry_is_neither_shortened_nor_lengthened(
    skew: timedelta, shelf: list[Product], settings: Settings
) -> None:
    settings.UNPAID_ORDER_EXPIRES_SECONDS = 300
    order = placed_order(shelf[0])
    with on_a_host(skew):
        transition(order.pk, OrderStatus.PAYMENT_FAILED, reason="Test", now=database_now())
    order.refresh_from_db()
    assert order.expires_at
    assert is_now(order.expires_at - timedelta(minutes=5))

    with on_a_host(skew):
        assert expire_unpaid(now=database_now()) == 0
    Order.objects.update(expires_at=told_by_the_database() - timedelta(minutes=1))
    with on_a_host(skew):
        assert expire_unpaid(now=database_now()) == 1


def test_token_of_one_host_is_as_old_on_another(
    skew: timedelta, shelf: list[Product], shopper: Shopper, settings: Settings
) -> None:
    settings.CHECKOUT_TOKEN_MAX_AGE_SECONDS = 300
    with on_a_host(skew):
        shopper.add_to_cart("SKU-01")
        form = shopper.open_checkout()

    with on_a_host(-skew):
        assert shopper.submit(form).status == 303


def test_hosts_count_in_one_stretch_of_time(
    skew: timedelta, shelf: list[Product], shopper: Shopper, settings: Settings
) -> None:
    settings.LIMIT_PLACING = read_rates("session 2/1m")
    for ahead in (skew, -skew, timedelta()):
        with on_a_host(ahead):
            shopper.add_to_cart("SKU-01")
            shopper.submit(shopper.open_checkout())

    ends = set(LimitCount.objects.values_list("window_end", flat=True))
    assert all(end - told_by_the_database() < timedelta(minutes=1) for end in ends)


def test_session_of_one_host_lasts_on_another(
    skew: timedelta, shelf: list[Product], shopper: Shopper, settings: Settings
) -> None:
    settings.SESSION_COOKIE_AGE = 300
    with on_a_host(skew):
        shopper.add_to_cart("SKU-01")

    with on_a_host(-skew):
        assert shopper.submit(shopper.open_checkout()).status == 303


def test_gateway_is_heard_on_a_wrong_host(skew: timedelta, settings: Settings) -> None:
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]
    body = event({"id": "pi_of_another_shop", "metadata": {"order": "1-23"}})

    header = signature(body)

    with on_a_host(skew):
        assert send(body, header) == 200


def test_slow_answer_of_the_database_makes_the_time_no_less_exact() -> None:
    connection.ensure_connection()
    before = database_now()
    began = clock.steady()

    clock.learn(time.time(), asked_at=began - 3600, answered_at=began + 3600)

    assert timedelta() <= database_now() - before < SOON


def test_clock_that_is_not_known_yet_is_asked_for() -> None:
    with on_a_host(TEN_MINUTES):
        assert is_now(database_now())


def test_no_other_clock_is_read_by_what_stamps_or_judges() -> None:
    """Django's `timezone.now` and `auto_now` are this host's clock."""
    found = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for package in ("checkout", "payments")
        for path in (ROOT / package).rglob("*.py")
        if not {"migrations", "sandbox", "gateways"} & set(path.parts)
        for node in ast.walk(ast.parse(path.read_text()))
        if (isinstance(node, ast.Attribute) and ast.unparse(node) in HOST_CLOCKS)
        or (isinstance(node, ast.keyword) and node.arg in {"auto_now", "auto_now_add"})
    ]

    assert found == []


HOST_CLOCKS = {"timezone.now", "datetime.now", "datetime.utcnow", "datetime.today", "date.today"}
