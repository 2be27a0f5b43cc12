"""Whether a gateway refuses the shop itself, as for a withdrawn key or a closed account.

However many orders meet the refusal, and in however many processes, a person is told once. The
refusal ends with the first call that is answered again, and what waited is then asked at once.
"""

import logging
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Max

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

_looked: tuple[float, frozenset[str]] = (time.monotonic(), frozenset())


def begin_refusal(gateway: str, code: str, *, now: datetime) -> None:
    """Write the refusal down. Whoever is first also tells a person."""
    begin = {"code": code[:80], "began_at": now, "ended_at": None}
    row = GatewayRefusal.objects.filter(gateway=gateway)
    begun = False
    if not row.filter(ended_at__gt=now - SAME_REFUSAL).update(ended_at=None):
        begun = bool(row.filter(ended_at__isnull=False).update(**begin))
        begun = begun or _is_first(gateway, begin)
    _saw(_looked[1] | {gateway})
    if begun:
        logger.error(
            "The gateway refuses this shop, not a customer; a person must act",
            extra={"gateway": gateway, "reason": code},
        )


def _is_first(gateway: str, begin: dict[str, Any]) -> bool:
    """Make the gateway's row. False where there is one."""
    if GatewayRefusal.objects.filter(gateway=gateway).exists():
        return False
    highest: int = GatewayRefusal.objects.aggregate(highest=Max("pk"))["highest"] or 0
    with suppress(IntegrityError), transaction.atomic():  # another worker was first
        GatewayRefusal.objects.create(pk=highest + 1, gateway=gateway, **begin)
        return True
    return False


def end_refusal(gateway: str, *, now: datetime) -> None:
    """End the gateway's refusal that is on record, if there is one."""
    if time.monotonic() - _looked[0] >= LOOK_SECONDS:
        _saw(refusal.gateway for refusal in current_refusals())
    if gateway not in _looked[1]:
        return
    ended = GatewayRefusal.objects.filter(gateway=gateway, ended_at=None).update(ended_at=now)
    _saw(_looked[1] - {gateway})
    if ended:
        hastened = make_all_due(now=now, within=LONGEST_PAUSE, spread=SPREAD)
        extra = {"gateway": gateway, "hastened": hastened}
        logger.warning("The gateway takes this shop again", extra=extra)


def current_refusals() -> list[GatewayRefusal]:
    return list(GatewayRefusal.objects.filter(ended_at=None).order_by("began_at"))


def pause_while_refused(gateway: str, *, now: datetime) -> timedelta:
    refusal = GatewayRefusal.objects.filter(gateway=gateway, ended_at=None).first()
    lasted = now - refusal.began_at if refusal else timedelta(0)
    return shortened(min(max(FIRST_PAUSE, lasted / 2), LONGEST_PAUSE), JITTER)


def sample_refusal() -> None:
    metrics.GATEWAY_REFUSES.set(bool(current_refusals()))


def forget_what_was_seen() -> None:
    """For tests: go on as a process that has just found no refusal."""
    _saw([])


def _saw(refusing: Iterable[str]) -> None:
    global _looked
    _looked = (time.monotonic(), frozenset(refusing))
