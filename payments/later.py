"""Asking the gateway again later: an outbox message with a time, and ever more of it."""

import random
from datetime import datetime, timedelta

from checkout.orders.models import OutboxMessage
from payments.gateways.base import GatewayError, GatewayMisconfigured, NotExecuted

LONGEST_PAUSE = timedelta(hours=1)
MISCONFIGURED_PAUSE = timedelta(minutes=1)


def pause_after(error: GatewayError, tries: int) -> timedelta:
    """How long to wait after so many tries that came to nothing."""
    if isinstance(error, GatewayMisconfigured):
        return MISCONFIGURED_PAUSE
    pause = min(timedelta(seconds=2 ** min(tries, 12)), LONGEST_PAUSE)
    pause *= random.uniform(0.5, 1)  # noqa: S311 - jitter, so that orders do not come back at once
    if isinstance(error, NotExecuted) and error.retry_after_seconds is not None:
        pause = min(max(pause, timedelta(seconds=error.retry_after_seconds)), LONGEST_PAUSE)
    return pause


def ask_later(order_id: int, kind: OutboxMessage.Kind, *, pause: timedelta, now: datetime) -> None:
    OutboxMessage.objects.create(order_id=order_id, kind=kind, available_at=now + pause)
