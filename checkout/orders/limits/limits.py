"""Slowing down whoever places, fails to pay or asks for links far more often than a customer does.

Counted in Postgres, so that any number of web processes judge as one, in fixed stretches of time.
What is counted is known by a keyed digest: nobody can read a session or an address from it.

Limits protect the shop; they keep no promise. Where they cannot be counted, nobody is held back.
"""

import logging
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.utils.crypto import salted_hmac

from checkout.orders.limits.rates import Rate, Rates, Scope
from checkout.orders.models import LimitCount, Order
from checkout.runtime import metrics

logger = logging.getLogger(__name__)

P = ParamSpec("P")

SALT = "orders.limits.v1"

# A large shop-wide limit is spread over rows, so that a sale's presses do not queue for one. Each
# press takes one row by chance and is judged by that row's share of the limit alone. So the limit
# is never exceeded. It is met a few percent early, when chance fills one row before the others;
# with a thousand or more to a row that is little, and a smaller limit is one row and exact.
SHARDS = 16
SHARD_AT_LEAST = 1000

# What `count` can hold: the limit of a counter that only counts.
NO_LIMIT = 2**31 - 1

PRUNE_BATCH = 1000
PRUNE_BATCHES = 20

# The clocks of web processes may differ by less than this.
PRUNE_AFTER = timedelta(minutes=5)

# One statement for all counters of a request. A full one stops it, and then nothing is counted:
# whoever knocks on in vain uses up nothing of what others share. Of requests at the same time,
# which all find the last place free, the count that each gets back decides. Rows are locked in
# the order of their keys, so two requests cannot wait for each other. Some may only be looked at.
COUNT = """
WITH asked AS (
    SELECT * FROM unnest(%s::text[], %s::timestamptz[], %s::int[], %s::bool[])
        AS t (key, window_end, at_most, is_counted)
), already_full AS (
    SELECT asked.* FROM asked JOIN orders_limitcount USING (key, window_end)
    WHERE count >= at_most
), counted AS (
    INSERT INTO orders_limitcount AS so_far (key, window_end, count)
    SELECT key, window_end, 1 FROM asked
    WHERE is_counted AND NOT EXISTS (SELECT FROM already_full)
    ORDER BY key
    ON CONFLICT (key, window_end) DO UPDATE SET count = so_far.count + 1
    RETURNING key, window_end, count
)
SELECT key FROM already_full
UNION ALL
SELECT key FROM counted JOIN asked USING (key, window_end) WHERE count > at_most
"""


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """From where a request comes, as digests. Empty: not known, and not counted."""

    session: str = ""
    address: str = ""
    client: str = ""

    @classmethod
    def known_by(cls, *, nonce: str | None, address: str) -> "Visitor":
        return cls(session=_digest("session", nonce or ""), address=_digest("address", address))

    @classmethod
    def client_of_api(cls, client_id: int) -> "Visitor":
        """Counted by its name alone: all who buy through an app share its addresses."""
        return cls(client=_digest("client", str(client_id)))


@dataclass(frozen=True, kw_only=True)
class _Counter:
    key: str
    scope: Scope
    window_end: datetime
    at_most: int
    is_counted: bool = True


def _digest(scope: Scope, known_by: str) -> str:
    if not known_by:
        return ""
    return salted_hmac(f"{SALT}.{scope}", known_by, algorithm="sha256").hexdigest()[:32]


def _lets_pass_on_error(
    limit: Callable[P, timedelta | None],
) -> Callable[P, timedelta | None]:
    @wraps(limit)
    def wait(*args: P.args, **kwargs: P.kwargs) -> timedelta | None:
        try:
            return limit(*args, **kwargs)
        except (DatabaseError, InterfaceError):
            logger.warning("A limit could not be counted and holds nobody back", exc_info=True)
            connection.close()
            return None

    return wait


@_lets_pass_on_error
def wait_before_placing(visitor: Visitor, *, now: datetime) -> timedelta | None:
    """How long this press must wait; None lets it pass, and counts it.

    Runs before the placing transaction, never inside it: it would hold its rows' locks until then.
    One statement, but for those who have had a payment declined lately.
    """
    declines = [
        replace(counter, at_most=1, is_counted=False)
        for counter in _own_declines([visitor], now=now)
    ]
    full = _count([*declines, *_counters("placing", settings.LIMIT_PLACING, visitor, now=now)])
    if full in declines:
        full = _too_many_declines([visitor], now=now) or _count_placing(visitor, now=now)
    return _wait(full, "placing", now=now)


@_lets_pass_on_error
def wait_before_paying_again(visitor: Visitor, order: Order, *, now: datetime) -> timedelta | None:
    """As before placing. Declines count where the order was placed, whoever has its link now."""
    origin = Visitor(session=order.from_session, address=order.from_address)
    full = _too_many_declines([visitor, origin], now=now) or _count_placing(visitor, now=now)
    return _wait(full, "paying again", now=now)


@_lets_pass_on_error
def wait_before_looking_up(visitor: Visitor, *, now: datetime) -> timedelta | None:
    counters = _counters("lookup", settings.LIMIT_LOOKUP, visitor, now=now)
    return _wait(_count(counters), "look-up", now=now)


@_lets_pass_on_error
def wait_before_api_request(visitor: Visitor, *, now: datetime) -> timedelta | None:
    return _wait(_count(_counters("api", settings.LIMIT_API, visitor, now=now)), "api", now=now)


@_lets_pass_on_error
def count_decline(order_id: int, *, now: datetime) -> None:
    """Runs after the commit that stored the decline: a process that dies in between loses one
    count, and a message that comes again finds the decline stored and counts nothing."""
    rates: Rates = settings.LIMIT_DECLINES
    if not rates:
        return
    order = Order.objects.only("from_session", "from_address").get(pk=order_id)
    visitor = Visitor(session=order.from_session, address=order.from_address)
    counters = [*_own_declines([visitor], now=now), *_shop_declines(now=now)]
    _count([replace(counter, at_most=NO_LIMIT) for counter in counters])


def _count_placing(visitor: Visitor, *, now: datetime) -> _Counter | None:
    return _count(_counters("placing", settings.LIMIT_PLACING, visitor, now=now))


def _too_many_declines(visitors: Iterable[Visitor], *, now: datetime) -> _Counter | None:
    """The counter that is full, if one is.

    Too many in the whole shop, as when stolen cards are tried out, hold back only those who have
    had a decline of their own: all other customers buy as ever.
    """
    own = _own_declines(visitors, now=now)
    if not own:
        return None
    shop = _shop_declines(now=now)
    counts = _counts([*own, *shop])
    full = [counter for counter in own if counts.get(counter.key, 0) >= counter.at_most]
    declined = [counter for counter in own if counter.key in counts]
    for counter in shop if declined else []:
        if counts.get(counter.key, 0) >= counter.at_most:
            forgotten_at = max(counter.window_end for counter in declined)
            full.append(replace(counter, window_end=min(counter.window_end, forgotten_at)))
    return _longest(full)


def _own_declines(visitors: Iterable[Visitor], *, now: datetime) -> list[_Counter]:
    rates: Rates = settings.LIMIT_DECLINES
    own = {
        counter.key: counter
        for visitor in visitors
        for counter in _own_counters("declines", rates, visitor, now=now)
    }
    return list(own.values())


def _shop_declines(*, now: datetime) -> list[_Counter]:
    """In one row: declines are recorded by workers, before whom no shopper waits."""
    rate = settings.LIMIT_DECLINES.get("shop")
    return [_counter("declines", "shop", "", rate, now=now)] if rate else []


def _counters(what: str, rates: Rates, visitor: Visitor, *, now: datetime) -> list[_Counter]:
    counters = _own_counters(what, rates, visitor, now=now)
    if rate := rates.get("shop"):
        shards = max(1, min(SHARDS, rate.at_most // SHARD_AT_LEAST))
        share = replace(rate, at_most=rate.at_most // shards)
        shard = str(secrets.randbelow(shards))
        counters.append(_counter(what, "shop", shard, share, now=now))
    return counters


def _own_counters(what: str, rates: Rates, visitor: Visitor, *, now: datetime) -> list[_Counter]:
    whose: dict[Scope, str] = {
        "session": visitor.session,
        "address": visitor.address,
        "client": visitor.client,
    }
    return [
        _counter(what, scope, who, rates[scope], now=now)
        for scope, who in whose.items()
        if who and scope in rates
    ]


def _counter(what: str, scope: Scope, who: str, rate: Rate, *, now: datetime) -> _Counter:
    windows_so_far = int(now.timestamp()) // rate.seconds
    return _Counter(
        # With its length: stretches of different lengths may end at the same time.
        key=f"{what}:{scope}:{rate.seconds}:{who}",
        scope=scope,
        window_end=datetime.fromtimestamp((windows_so_far + 1) * rate.seconds, tz=UTC),
        at_most=rate.at_most,
    )


def _count(counters: list[_Counter]) -> _Counter | None:
    """Count one more on each, unless one is full: then that one is the answer."""
    if not counters:
        return None
    columns = (
        [counter.key for counter in counters],
        [counter.window_end for counter in counters],
        [counter.at_most for counter in counters],
        [counter.is_counted for counter in counters],
    )
    with connection.cursor() as cursor:
        cursor.execute(COUNT, columns)
        full = {key for (key,) in cursor.fetchall()}
    return _longest(counter for counter in counters if counter.key in full)


def _counts(counters: list[_Counter]) -> dict[str, int]:
    rows = LimitCount.objects.filter(
        key__in=[counter.key for counter in counters],
        window_end__in={counter.window_end for counter in counters},
    ).values_list("key", "window_end", "count")
    asked = {(counter.key, counter.window_end) for counter in counters}
    return {key: count for key, window_end, count in rows if (key, window_end) in asked}


def _longest(full: Iterable[_Counter]) -> _Counter | None:
    return max(full, key=lambda counter: counter.window_end, default=None)


def _wait(full: _Counter | None, what: str, *, now: datetime) -> timedelta | None:
    if full is None:
        return None
    logger.info("A limit was reached, put off", extra={"limit": what, "scope": full.scope})
    metrics.LIMITS_REACHED.labels(what, full.scope).inc()
    return full.window_end - now


def prune_limits(*, now: datetime) -> int:
    """Delete counts whose stretch of time is over, in small batches and not without end: the next
    sweep goes on."""
    pruned = 0
    for _ in range(PRUNE_BATCHES):
        with transaction.atomic():
            batch = list(
                LimitCount.objects.select_for_update(skip_locked=True)
                .filter(window_end__lt=now - PRUNE_AFTER)
                .order_by("window_end")
                .values_list("pk", flat=True)[:PRUNE_BATCH]
            )
            LimitCount.objects.filter(pk__in=batch).delete()
        pruned += len(batch)
        if len(batch) < PRUNE_BATCH:
            break
    return pruned
