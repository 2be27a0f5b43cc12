"""Slowing down whoever places, fails to pay, asks for links, withdraws or guesses codes far more
often than a customer does.

Visitors are counted by a keyed digest: nobody can read a session or an address from it.

Limits protect the shop; they keep no promise. Where they cannot be counted, nobody is held back.
"""

import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import wraps
from typing import ParamSpec

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils.crypto import salted_hmac

from checkout.orders.limits.counting import (
    NO_LIMIT,
    Counter,
    count,
    counter,
    counts_so_far,
    longest,
    shard_of_shop_counter,
)
from checkout.orders.limits.rates import Rates, Scope
from checkout.orders.models import Order
from checkout.runtime import metrics

logger = logging.getLogger(__name__)

P = ParamSpec("P")

SALT = "orders.limits.v1"


@dataclass(frozen=True, kw_only=True)
class Visitor:
    """Where a request comes from, as digests. An empty one is not known, and not counted."""

    session: str = ""
    address: str = ""
    client: str = ""

    @classmethod
    def known_by(cls, *, nonce: str | None, address: str) -> "Visitor":
        return cls(session=_digest("session", nonce or ""), address=_digest("address", address))

    @classmethod
    def client_of_api(cls, client_id: int) -> "Visitor":
        """Clients count by themselves alone: all who buy through an app share its addresses."""
        return cls(client=_digest("client", str(client_id)))

    @classmethod
    def who_placed(cls, order: Order) -> "Visitor":
        return cls(session=order.from_session, address=order.from_address)


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
    """How long this request must wait; None lets it pass, and counts it.

    Call it before the placing transaction, never inside: that would hold the counters' rows locked
    until its end. It is one statement, except for visitors who had a payment declined lately.
    """
    declines = [
        replace(each, at_most=1, is_counted=False) for each in _own_declines([visitor], now=now)
    ]
    full = count([*declines, *_counters("placing", settings.LIMIT_PLACING, visitor, now=now)])
    if full in declines:
        full = _too_many_declines([visitor], now=now) or _count_placing(visitor, now=now)
    return _wait(full, "placing", now=now)


@_lets_pass_on_error
def wait_before_paying_again(visitor: Visitor, order: Order, *, now: datetime) -> timedelta | None:
    """The same as before placing. Declines of the visitor who placed the order count as well."""
    visitors = [visitor, Visitor.who_placed(order)]
    full = _too_many_declines(visitors, now=now) or _count_placing(visitor, now=now)
    return _wait(full, "paying again", now=now)


@_lets_pass_on_error
def wait_before_looking_up(visitor: Visitor, *, now: datetime) -> timedelta | None:
    counters = _counters("lookup", settings.LIMIT_LOOKUP, visitor, now=now)
    return _wait(count(counters), "look-up", now=now)


@_lets_pass_on_error
def wait_before_withdrawing(visitor: Visitor, *, now: datetime) -> timedelta | None:
    counters = _counters("withdrawals", settings.LIMIT_WITHDRAWALS, visitor, now=now)
    return _wait(count(counters), "withdrawals", now=now)


@_lets_pass_on_error
def wait_before_api_request(visitor: Visitor, *, now: datetime) -> timedelta | None:
    return _wait(count(_counters("api", settings.LIMIT_API, visitor, now=now)), "api", now=now)


@_lets_pass_on_error
def wait_before_trying_code(visitor: Visitor, *, now: datetime) -> timedelta | None:
    """How long no discount code of this visitor is looked up. Asking counts nothing."""
    counters = _counters("codes", settings.LIMIT_CODES, visitor, now=now)
    full = count([replace(each, is_counted=False) for each in counters])
    return _wait(full, "codes", now=now)


@_lets_pass_on_error
def count_wrong_code(visitor: Visitor, *, now: datetime) -> None:
    """Call it outside the placing transaction, with which the count would be rolled back."""
    count(_counters("codes", settings.LIMIT_CODES, visitor, now=now))


@_lets_pass_on_error
def count_decline(order_id: int, *, now: datetime) -> None:
    """Call it after the commit that stored the decline: a process that dies in between loses one
    count, and a message that comes again finds the decline stored and counts nothing."""
    if not settings.LIMIT_DECLINES:
        return
    order = Order.objects.only("from_session", "from_address").get(pk=order_id)
    counters = [*_own_declines([Visitor.who_placed(order)], now=now), *_shop_declines(now=now)]
    count([replace(each, at_most=NO_LIMIT) for each in counters])


def _count_placing(visitor: Visitor, *, now: datetime) -> Counter | None:
    return count(_counters("placing", settings.LIMIT_PLACING, visitor, now=now))


def _too_many_declines(visitors: Iterable[Visitor], *, now: datetime) -> Counter | None:
    """The counter that is full, if one is.

    Too many in the whole shop, as when stolen cards are tried, hold back only those who had one.
    """
    own = _own_declines(visitors, now=now)
    if not own:
        return None
    shop = _shop_declines(now=now)
    counts = counts_so_far([*own, *shop])
    full = [each for each in own if counts.get(each.key, 0) >= each.at_most]
    declined = [each for each in own if each.key in counts]
    for each in shop if declined else []:
        if counts.get(each.key, 0) >= each.at_most:
            forgotten_at = max(one.window_end for one in declined)
            full.append(replace(each, window_end=min(each.window_end, forgotten_at)))
    return longest(full)


def _own_declines(visitors: Iterable[Visitor], *, now: datetime) -> list[Counter]:
    own = {
        each.key: each
        for visitor in visitors
        for each in _own_counters("declines", settings.LIMIT_DECLINES, visitor, now=now)
    }
    return list(own.values())


def _shop_declines(*, now: datetime) -> list[Counter]:
    """One row, not spread: workers record declines, and no shopper waits for them."""
    rate = settings.LIMIT_DECLINES.get("shop")
    return [counter("declines", "shop", "", rate, now=now)] if rate else []


def _counters(what: str, rates: Rates, visitor: Visitor, *, now: datetime) -> list[Counter]:
    counters = _own_counters(what, rates, visitor, now=now)
    if rate := rates.get("shop"):
        counters.append(shard_of_shop_counter(what, rate, now=now))
    return counters


def _own_counters(what: str, rates: Rates, visitor: Visitor, *, now: datetime) -> list[Counter]:
    whose = asdict(visitor)
    return [
        counter(what, scope, whose[scope], rate, now=now)
        for scope, rate in rates.items()
        if whose.get(scope)
    ]


def _wait(full: Counter | None, what: str, *, now: datetime) -> timedelta | None:
    if full is None:
        return None
    logger.info("A limit was reached, put off", extra={"limit": what, "scope": full.scope})
    metrics.LIMITS_REACHED.labels(what, full.scope).inc()
    return full.window_end - now
