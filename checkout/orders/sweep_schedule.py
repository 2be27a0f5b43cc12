"""When the sweep looks at an order again that waits for an outcome."""

from datetime import datetime, timedelta

from django.conf import settings

from checkout.orders.states import UNSETTLED, OrderStatus

# A customer who has answered their bank should not read for long that the shop waits for them,
# also where neither their return nor the gateway's webhook reached the shop.
FIRST_LOOK_AT_BANK_SECONDS = 60.0

# A person is told so long before a bank keeps an order's price no longer.
TOLD_BEFORE = timedelta(days=1)
AFTER_THE_END = timedelta(minutes=5)
LOOKS_EACH = timedelta(hours=1)

# Money that a bank has promised comes in days.
ASKS_ABOUT_PROMISES_EVERY = timedelta(days=1)


def next_sweep(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.SWEEP_AFTER_SECONDS)


def next_look_at_bank(asked_at: datetime, now: datetime) -> datetime:
    """When to ask the gateway about an order that waits for its customer at the bank: after a
    minute, and each time after twice as long, up to the pace of the sweep."""
    waited = (now - asked_at).total_seconds()
    pause = min(max(waited, FIRST_LOOK_AT_BANK_SECONDS), settings.SWEEP_AFTER_SECONDS)
    return now + timedelta(seconds=pause)


def next_look_at_authorisation(until: datetime, now: datetime) -> datetime:
    """When to look again at an order whose price a bank keeps until then: a day before, so that a
    person can be told in time, and when it ends. After that each hour."""
    looks = (until - TOLD_BEFORE, until + AFTER_THE_END)
    return next((look for look in looks if look > now), now + LOOKS_EACH)


def first_sweep(to: OrderStatus, now: datetime) -> datetime | None:
    """For an order that changes its status to this one; None where the outcome is known."""
    if to not in UNSETTLED:
        return None
    return next_look_at_bank(now, now) if to == OrderStatus.ACTION_REQUIRED else next_sweep(now)
