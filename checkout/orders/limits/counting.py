"""Counting in Postgres, in fixed windows of time, so that all web processes judge as one."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.db import connection

from checkout.orders.limits.rates import Rate, Scope
from checkout.orders.models import LimitCount
from checkout.runtime.retention import deleted_batches

# A large limit of the whole shop is spread over rows, so that the requests of a busy hour do not
# queue for one. Each takes a row by chance and is judged by that row's share of the limit alone. So
# the limit is never exceeded. It is met a few percent early, when chance fills one row before the
# others; with a thousand or more to a row that is little, and a smaller limit is one row and exact.
SHARDS = 16
SHARD_AT_LEAST = 1000

# The largest number that the column `count` holds: the limit of a counter that only counts.
NO_LIMIT = 2**31 - 1

PRUNE_BATCH = 1000
PRUNE_BATCHES = 20

# The clocks of web processes may differ by less than this.
PRUNE_AFTER = timedelta(minutes=5)

# One statement for all counters of a request. A counter that is full stops it, and then nothing is
# counted: whoever is refused uses up nothing of what others share. Where several requests find the
# last place free at the same time, the count that each gets back decides. Rows are locked in the
# order of their keys, so two requests cannot wait for each other. Some counters are only looked at.
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
class Counter:
    key: str
    scope: Scope
    window_end: datetime
    at_most: int
    is_counted: bool = True


def counter(what: str, scope: Scope, who: str, rate: Rate, *, now: datetime) -> Counter:
    windows_so_far = int(now.timestamp()) // rate.seconds
    return Counter(
        # The length is part of the key: windows of different lengths may end at the same time.
        key=f"{what}:{scope}:{rate.seconds}:{who}",
        scope=scope,
        window_end=datetime.fromtimestamp((windows_so_far + 1) * rate.seconds, tz=UTC),
        at_most=rate.at_most,
    )


def shard_of_shop_counter(what: str, rate: Rate, *, now: datetime) -> Counter:
    """The counter of one row, by chance, with its share of the whole shop's limit."""
    shards = max(1, min(SHARDS, rate.at_most // SHARD_AT_LEAST))
    share = replace(rate, at_most=rate.at_most // shards)
    return counter(what, "shop", str(secrets.randbelow(shards)), share, now=now)


def count(counters: list[Counter]) -> Counter | None:
    """Add one to each, unless one is full; then that one is returned."""
    if not counters:
        return None
    columns = (
        [each.key for each in counters],
        [each.window_end for each in counters],
        [each.at_most for each in counters],
        [each.is_counted for each in counters],
    )
    with connection.cursor() as cursor:
        cursor.execute(COUNT, columns)
        full = {key for (key,) in cursor.fetchall()}
    return longest(each for each in counters if each.key in full)


def counts_so_far(counters: list[Counter]) -> dict[str, int]:
    """The counts by the counters' keys, of those that have counted anything in their window."""
    rows = LimitCount.objects.filter(
        key__in=[each.key for each in counters],
        window_end__in={each.window_end for each in counters},
    ).values_list("key", "window_end", "count")
    wanted = {(each.key, each.window_end) for each in counters}
    return {key: so_far for key, window_end, so_far in rows if (key, window_end) in wanted}


def longest(full: Iterable[Counter]) -> Counter | None:
    return max(full, key=lambda each: each.window_end, default=None)


def prune_limits(*, now: datetime) -> int:
    """Delete counts whose window is over, in a few small batches; the next call goes on."""
    old = LimitCount.objects.filter(window_end__lt=now - PRUNE_AFTER).order_by("window_end")
    return sum(islice(deleted_batches(old, of=PRUNE_BATCH), PRUNE_BATCHES))
