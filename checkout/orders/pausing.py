"""Pausing all calls to the gateway, and resuming them.

While payments are paused, no message is published and none is received. What is decided meanwhile
waits in the outbox, as one message of a kind for each order, however often it is asked for. So a
pause of days fills no queue and uses up no receive counts. Customers go on placing orders.
"""

import logging
import time
from datetime import datetime

from checkout.orders.models import PaymentsPause

logger = logging.getLogger(__name__)

# A process looks into the database at most this often, and learns of a pause at most this late.
LOOK_SECONDS = 0.5

_looked: tuple[float, bool] | None = None


def is_paused() -> bool:
    """Cheap to ask: there is one look-up by primary key in LOOK_SECONDS."""
    global _looked
    looked = _looked
    if looked is None or time.monotonic() - looked[0] >= LOOK_SECONDS:
        looked = _looked = (time.monotonic(), current_pause() is not None)
    return looked[1]


def current_pause() -> PaymentsPause | None:
    return PaymentsPause.objects.filter(pk=PaymentsPause.ONLY, resumed_at=None).first()


def pause_payments(*, reason: str, by: str, now: datetime) -> bool:
    """False when payments are paused already. Then the first reason stands."""
    begin = {
        "reason": reason,
        "paused_by": by,
        "paused_at": now,
        "resumed_by": "",
        "resumed_at": None,
    }
    over = PaymentsPause.objects.filter(pk=PaymentsPause.ONLY, resumed_at__isnull=False)
    begun = bool(over.update(**begin))
    if not begun:
        _, begun = PaymentsPause.objects.get_or_create(pk=PaymentsPause.ONLY, defaults=begin)
    forget_what_was_seen()
    if begun:
        logger.warning("Payments were paused", extra={"by": by, "reason": reason})
    return begun


def resume_payments(*, by: str, now: datetime) -> bool:
    resumed = PaymentsPause.objects.filter(pk=PaymentsPause.ONLY, resumed_at=None).update(
        resumed_by=by, resumed_at=now
    )
    forget_what_was_seen()
    if resumed:
        logger.warning("Payments were resumed", extra={"by": by})
    return bool(resumed)


def forget_what_was_seen() -> None:
    global _looked
    _looked = None
