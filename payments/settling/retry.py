"""Asking the gateway again later: an outbox message with a time, and ever more of it."""

import random
from datetime import datetime, timedelta
from itertools import takewhile

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    NotExecuted,
    OutcomeUnknown,
)
from payments.models import PaymentAttempt
from payments.settling.gateway_refusal import pause_while_refused

LONGEST_PAUSE = timedelta(hours=1)
# A bank takes days to send money back, and the gateway's webhook says when it has.
LONGEST_PAUSE_OF_A_REFUND = timedelta(hours=2)
# A call of ours that is under way is over within the gateway's time-out, however often this order
# was asked about before.
LONGEST_PAUSE_FOR_A_CALL = timedelta(seconds=0.5)
DOUBLINGS = 13

IN_VAIN = {"", NotExecuted.__name__, OutcomeUnknown.__name__, GatewayMisconfigured.__name__}


def pause_after(
    error: GatewayError, tries: int, *, now: datetime, longest: timedelta = LONGEST_PAUSE
) -> timedelta:
    """How long to wait after so many tries that came to nothing."""
    if isinstance(error, GatewayMisconfigured):
        return pause_while_refused(now=now)
    pause = min(timedelta(seconds=2 ** min(tries, DOUBLINGS)), longest)
    if isinstance(error, NotExecuted) and error.is_under_way and tries < DOUBLINGS:
        pause = min(pause / 4, LONGEST_PAUSE_FOR_A_CALL)
    pause *= random.uniform(0.5, 1)  # noqa: S311 - jitter, so that orders do not come back at once
    if isinstance(error, NotExecuted) and error.retry_after_seconds is not None:
        pause = min(max(pause, timedelta(seconds=error.retry_after_seconds)), longest)
    return pause


def ask_later(order_id: int, kind: OutboxMessage.Kind, *, pause: timedelta, now: datetime) -> None:
    ask(order_id, kind, at=now + pause)


def asked_in_vain(order: Order) -> int:
    """How many of the latest calls about this order came to nothing, one after the other. Sets the
    pace of whatever has no counter of its own."""
    latest = PaymentAttempt.objects.filter(payment__order=order).order_by("-id")
    outcomes = latest.values_list("outcome", flat=True)[:DOUBLINGS]
    return sum(1 for _ in takewhile(lambda outcome: outcome in IN_VAIN, outcomes))
