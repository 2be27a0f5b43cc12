"""Limits: counted in Postgres, so that any number of processes judge as one."""

import itertools
import secrets
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier

import pytest
from django.db import connection
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.limits import counting, limits
from checkout.orders.limits.counting import prune_limits
from checkout.orders.limits.limits import (
    Visitor,
    count_decline,
    wait_before_looking_up,
    wait_before_paying_again,
    wait_before_placing,
)
from checkout.orders.limits.rates import Rate, read_rates
from checkout.orders.models import LimitCount, Order
from tests.support.factories import placed_order

pytestmark = pytest.mark.django_db(transaction=True)

NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ADDRESS = "203.0.113.9"


def visitor(address: str = ADDRESS) -> Visitor:
    """Each time another session."""
    return Visitor.known_by(nonce=secrets.token_urlsafe(16), address=address)


def counted(what: str) -> int:
    return sum(LimitCount.objects.filter(key__startswith=what).values_list("count", flat=True))


def declined(by: Visitor, product: Product) -> Order:
    order = placed_order(product)
    Order.objects.filter(pk=order.pk).update(from_session=by.session, from_address=by.address)
    order.refresh_from_db()
    count_decline(order.pk, now=NOON)
    return order


@pytest.fixture
def uncountable() -> Iterator[None]:
    """The table of counts is out of reach, and nothing else is."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE orders_limitcount RENAME TO out_of_reach")
    yield
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE out_of_reach RENAME TO orders_limitcount")


def test_rates_are_read_as_they_are_written() -> None:
    assert read_rates("session 20/10m, address 120/2h,shop 5/1d") == {
        "session": Rate(20, 600),
        "address": Rate(120, 7200),
        "shop": Rate(5, 86400),
    }
    assert read_rates(" ") == {}


@pytest.mark.parametrize(
    "text",
    [
        "20/10m",
        "session 20",
        "session 0/10m",
        "session 20/0m",
        "session -1/10m",
        "session 20/10",
        "cart 20/10m",
        "session 20/10m, session 30/10m",
        "session 20/10m,",
        "session 20/10m address 20/10m",
    ],
)
def test_rates_that_make_no_sense_are_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - what it says is said by the settings
        read_rates(text)


@pytest.mark.parametrize("rates", ["session 10/10m", "address 10/10m", "shop 10/10m"])
def test_of_sixteen_presses_at_once_exactly_ten_pass(settings: Settings, rates: str) -> None:
    settings.LIMIT_PLACING = read_rates(rates)
    everybody, presser = Barrier(16), visitor()

    def press(_: int) -> bool:
        try:
            everybody.wait(timeout=30)
            return wait_before_placing(presser, now=NOON) is None
        finally:
            connection.close()

    with ThreadPoolExecutor(16) as pool:
        passed = list(pool.map(press, range(16)))

    assert passed.count(True) == 10


def test_limits_of_different_length_do_not_mix(settings: Settings) -> None:
    presser = visitor()
    settings.LIMIT_PLACING = read_rates("session 1/1h")
    last_minutes = NOON + 55 * MINUTE  # both stretches end at one o'clock
    assert wait_before_placing(presser, now=last_minutes) is None

    settings.LIMIT_PLACING = read_rates("session 1/10m")

    assert wait_before_placing(presser, now=last_minutes) is None
    assert wait_before_placing(presser, now=last_minutes) == 5 * MINUTE


def test_whoever_waits_as_long_as_told_is_let_in(settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("session 2/10m")
    presser, now = visitor(), NOON + 3 * MINUTE

    waits = [wait_before_placing(presser, now=now) for _ in range(4)]

    assert waits == [None, None, 7 * MINUTE, 7 * MINUTE]
    assert wait_before_placing(presser, now=now + 7 * MINUTE) is None


def test_longest_wait_is_told(settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("session 1/10m, address 1/1h")
    presser = visitor()
    wait_before_placing(presser, now=NOON)

    assert wait_before_placing(presser, now=NOON) == HOUR


def test_press_that_is_put_off_uses_up_nothing_of_what_others_share(settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("session 2/10m, address 10/10m, shop 20/10m")
    stubborn = visitor()

    for _ in range(30):
        wait_before_placing(stubborn, now=NOON)

    assert counted("placing:address") == counted("placing:shop") == 2
    assert wait_before_placing(visitor(), now=NOON) is None


def test_addresses_are_limited_over_their_sessions(settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("address 3/10m")

    waits = [wait_before_placing(visitor(), now=NOON) for _ in range(4)]

    assert waits == [None, None, None, 10 * MINUTE]
    assert wait_before_placing(visitor("198.51.100.1"), now=NOON) is None


def test_large_limit_of_the_shop_is_spread_and_never_exceeded(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "SHARD_AT_LEAST", 5)
    settings.LIMIT_PLACING = read_rates("shop 43/10m")
    rows: Iterator[int] = itertools.cycle(range(8))
    monkeypatch.setattr(secrets, "randbelow", lambda shards: next(rows) % shards)

    passed = [wait_before_placing(visitor(), now=NOON) is None for _ in range(80)]

    assert passed == [True] * 40 + [False] * 40  # eight rows of five
    assert LimitCount.objects.count() == 8


def test_unknown_visitors_count_in_the_shop_alone(settings: Settings) -> None:
    settings.LIMIT_LOOKUP = read_rates("session 1/10m, address 1/10m, shop 3/10m")
    unknown = Visitor.known_by(nonce=None, address="")

    waits = [wait_before_looking_up(unknown, now=NOON) for _ in range(4)]

    assert waits == [None, None, None, 10 * MINUTE]
    assert counted("lookup:session") == counted("lookup:address") == 0


def test_nobody_can_read_an_address_from_the_counts(settings: Settings) -> None:
    settings.LIMIT_PLACING = read_rates("session 9/10m, address 9/10m")

    wait_before_placing(Visitor.known_by(nonce="the-nonce", address=ADDRESS), now=NOON)

    keys = [key.rpartition(":")[2] for key in LimitCount.objects.values_list("key", flat=True)]
    assert [len(key) for key in keys] == [32, 32]
    assert not any("203" in key and "113" in key for key in keys)
    settings.SECRET_KEY = "another-" * 8
    assert Visitor.known_by(nonce=None, address=ADDRESS).address not in keys


@pytest.mark.usefixtures("uncountable")
@pytest.mark.parametrize("wait", [wait_before_placing, wait_before_looking_up])
def test_what_cannot_be_counted_holds_nobody_back(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    wait: Callable[..., timedelta | None],
) -> None:
    rates = read_rates("session 1/10m, address 1/10m, shop 1/10m")
    settings.LIMIT_PLACING = settings.LIMIT_LOOKUP = settings.LIMIT_DECLINES = rates

    waits = [wait(visitor(), now=NOON) for _ in range(3)]

    assert waits == [None, None, None]
    said = [record.getMessage() for record in caplog.records if record.name == limits.__name__]
    assert said == ["A limit could not be counted and holds nobody back"] * 3


def test_declines_hold_back_their_session_and_no_other(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 2/1h")
    unlucky, other = visitor(), visitor()

    declined(unlucky, shelf[0])
    assert wait_before_placing(unlucky, now=NOON) is None
    declined(unlucky, shelf[0])

    assert wait_before_placing(unlucky, now=NOON + 20 * MINUTE) == 40 * MINUTE
    assert wait_before_placing(unlucky, now=NOON + HOUR) is None
    assert wait_before_placing(other, now=NOON) is None


def test_declines_hold_back_their_address_over_its_sessions(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 3/1h")
    for _ in range(3):
        declined(visitor(), shelf[0])

    assert wait_before_placing(visitor(), now=NOON) == HOUR
    assert wait_before_placing(visitor("198.51.100.1"), now=NOON) is None


def test_full_counter_of_one_does_not_stop_the_others_from_counting_declines(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 1/1h, address 9/1h, shop 9/1h")
    unlucky = visitor()

    for _ in range(4):
        declined(unlucky, shelf[0])

    assert counted("declines:session") == 4
    assert counted("declines:address") == counted("declines:shop") == 4


def test_stolen_cards_do_not_close_the_shop_for_honest_customers(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/1h, address 20/1h, shop 6/1h")
    testers = [visitor(f"198.51.100.{n}") for n in range(6)]

    for tester in testers:
        declined(tester, shelf[0])

    assert [wait_before_placing(tester, now=NOON) for tester in testers] == [HOUR] * 6
    for _ in range(10):
        assert wait_before_placing(visitor(), now=NOON) is None


def test_wait_for_the_shop_ends_when_the_own_decline_is_forgotten(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 5/10m, shop 2/1d")
    tester = visitor()
    declined(tester, shelf[0])
    declined(visitor(), shelf[0])

    assert wait_before_placing(tester, now=NOON) == 10 * MINUTE
    assert wait_before_placing(tester, now=NOON + 10 * MINUTE) is None


def test_order_that_was_often_declined_is_not_paid_from_elsewhere(
    settings: Settings, shelf: list[Product]
) -> None:
    settings.LIMIT_DECLINES = read_rates("session 1/1h, address 9/1h")
    order = declined(visitor(), shelf[0])
    elsewhere = visitor("198.51.100.1")

    assert wait_before_paying_again(elsewhere, order, now=NOON) == HOUR
    assert wait_before_placing(elsewhere, now=NOON) is None


def test_over_and_done_counts_are_pruned_in_batches(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "PRUNE_BATCH", 3)
    monkeypatch.setattr(counting, "PRUNE_BATCHES", 2)
    settings.LIMIT_PLACING = read_rates("session 9/10m")
    for _ in range(10):
        wait_before_placing(visitor(), now=NOON)
    wait_before_placing(visitor(), now=NOON + HOUR)

    pruned = [prune_limits(now=NOON + HOUR) for _ in range(3)]

    assert pruned == [6, 4, 0]
    assert LimitCount.objects.get().window_end == NOON + HOUR + 10 * MINUTE
