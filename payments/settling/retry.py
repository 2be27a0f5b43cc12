"""How long to wait before the gateway is asked again: longer after each try without an outcome."""

from datetime import datetime, timedelta
from itertools import takewhile

from checkout.orders.models import Order
from checkout.runtime.retry import backoff
from payments.gateways.base import GatewayError, GatewayMisconfigured, NotExecuted, OutcomeUnknown
from payments.models import PaymentAttempt
from payments.settling.refused_shop import pause_while_refused

FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(hours=1)
# A bank takes days to send money back, and the gateway's webhook says when it has.
LONGEST_PAUSE_OF_A_REFUND = timedelta(hours=2)
# A call of ours that is under way is over within the gateway's time-out, however often this order
# was asked about before. After so many tries something else is wrong.
FIRST_PAUSE_FOR_A_CALL = timedelta(seconds=0.25)
LONGEST_PAUSE_FOR_A_CALL = timedelta(seconds=0.5)
TRIES_FOR_A_CALL = 13
JITTER = 0.5

IN_VAIN = {"", NotExecuted.__name__, OutcomeUnknown.__name__, GatewayMisconfigured.__name__}


def pause_after(
    error: GatewayError,
    tries: int,
    *,
    gateway: str,
    now: datetime,
    longest: timedelta = LONGEST_PAUSE,
) -> timedelta:
    """How long to wait after so many tries that came to nothing."""
    if isinstance(error, GatewayMisconfigured):
        return pause_while_refused(gateway, now=now)
    first = FIRST_PAUSE
    limit = longest
    if isinstance(error, NotExecuted) and error.is_under_way and tries < TRIES_FOR_A_CALL:
        first, limit = FIRST_PAUSE_FOR_A_CALL, LONGEST_PAUSE_FOR_A_CALL
    pause = backoff(tries + 1, first=first, longest=limit, jitter=JITTER)
    if isinstance(error, NotExecuted) and error.retry_after_seconds is not None:
        pause = min(max(pause, timedelta(seconds=error.retry_after_seconds)), longest)
    return pause


def asked_in_vain(order: Order) -> int:
    """How many of the latest calls came to nothing: the pace of questions without a counter."""
    latest = PaymentAttempt.objects.filter(payment__order=order).order_by("-id")
    outcomes = latest.values_list("outcome", flat=True)[:TRIES_FOR_A_CALL]
    return sum(1 for _ in takewhile(lambda outcome: outcome in IN_VAIN, outcomes))
