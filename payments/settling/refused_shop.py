"""Whether the gateway refuses the shop itself, as for a withdrawn key or a closed account.

However many orders meet the refusal, and in however many processes, a person is told once. The
refusal ends with the first call that is answered again, and what waited is then asked at once.
"""

import logging
import time
from datetime import datetime, timedelta

from checkout.orders.outbox.enqueue import make_all_due
from checkout.runtime import metrics
from checkout.runtime.retry import shortened
from payments.models import GatewayRefusal

logger = logging.getLogger(__name__)

# A process whose calls are answered looks so often whether a refusal is still on record.
LOOK_SECONDS = 5.0

# A refusal that comes back so soon is the same one: some workers, or some calls, are still refused.
SAME_REFUSAL = timedelta(hours=1)

# The gateway is asked again after a minute, and then after half of the time that it has refused.
FIRST_PAUSE = timedelta(minutes=1)
LONGEST_PAUSE = timedelta(hours=1)
JITTER = 0.5

# What waited is spread over so long when the gateway takes the shop again.
SPREAD = timedelta(minutes=1)

_looked: tuple[float, bool] = (time.monotonic(), False)


def begin_refusal(code: str, *, now: datetime) -> None:
    """Write the refusal down. Whoever is first also tells a person."""
    begin = {"code": code[:80], "began_at": now, "ended_at": None}
    only = GatewayRefusal.objects.filter(pk=GatewayRefusal.ONLY)
    begun = False
    if not only.filter(ended_at__gt=now - SAME_REFUSAL).update(ended_at=None):
        begun = bool(only.filter(ended_at__isnull=False).update(**begin))
        if not begun:
            _, begun = GatewayRefusal.objects.get_or_create(pk=GatewayRefusal.ONLY, defaults=begin)
    _saw(is_refused=True)
    if begun:
        logger.error(
            "The gateway refuses this shop, not a customer; a person must act",
            extra={"reason": code},
        )


def end_refusal(*, now: datetime) -> None:
    """End the refusal that is on record, if there is one."""
    if time.monotonic() - _looked[0] >= LOOK_SECONDS:
        _saw(is_refused=current_refusal() is not None)
    if not _looked[1]:
        return
    ended = GatewayRefusal.objects.filter(ended_at=None).update(ended_at=now)
    _saw(is_refused=False)
    if ended:
        hastened = make_all_due(now=now, within=LONGEST_PAUSE, spread=SPREAD)
        logger.warning("The gateway takes this shop again", extra={"hastened": hastened})


def current_refusal() -> GatewayRefusal | None:
    return GatewayRefusal.objects.filter(pk=GatewayRefusal.ONLY, ended_at=None).first()


def pause_while_refused(*, now: datetime) -> timedelta:
    refusal = current_refusal()
    lasted = now - refusal.began_at if refusal else timedelta(0)
    return shortened(min(max(FIRST_PAUSE, lasted / 2), LONGEST_PAUSE), JITTER)


def sample_refusal() -> None:
    metrics.GATEWAY_REFUSES.set(current_refusal() is not None)


def forget_what_was_seen() -> None:
    """For tests: go on as a process that has just found no refusal."""
    _saw(is_refused=False)


def _saw(*, is_refused: bool) -> None:
    global _looked
    _looked = (time.monotonic(), is_refused)
