"""Leases: which process has a payment in hand, by the database's clock.

A lease saves work; it makes nothing safe, for every writer is guarded without it. A lease is short,
and renewed while its process works, so what a dead process held is free again within seconds.
"""

import logging
import uuid
from collections.abc import Collection
from datetime import timedelta

from django.conf import settings
from django.db.models import Q
from django.db.models.expressions import CombinedExpression
from django.db.models.functions import Now

from checkout.runtime import metrics
from checkout.runtime.process_name import process_name
from payments.models import Payment
from payments.states import LIVE, PaymentStatus

logger = logging.getLogger(__name__)

# What the bank has set aside is charged under the lock of its order, without a lease. Whoever read
# the order before that must not take its payment: as one in process, nobody would charge it.
TAKEN = [status for status in LIVE if status != PaymentStatus.AUTHORISED]


def lease_end() -> CombinedExpression:
    return Now() + timedelta(seconds=settings.PAYMENT_LEASE_SECONDS)


def take_lease(payment: Payment, token: uuid.UUID) -> bool:
    """Take the payment, or take it again under the same token: after a lost connection a worker
    goes on with its own lease. False: another worker has the payment, or it is settled, or
    the bank has set it aside."""
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now()) | Q(lease_token=token)
    taken = Payment.objects.filter(free, pk=payment.pk, status__in=TAKEN).update(
        lease_token=token,
        lease_until=lease_end(),
        lease_owner=process_name(),
        status=PaymentStatus.PROCESSING,
    )
    if not taken:
        return False
    if payment.lease_until is not None and payment.lease_token != token:
        metrics.LEASES_EXPIRED.inc()
        logger.warning(
            "A lease ran out, the payment was taken over", extra={"order": payment.order.number}
        )
    payment.refresh_from_db()  # what the worker before us stored counts, not what we read earlier
    return True


def renew_leases(tokens: Collection[uuid.UUID], *, order_numbers: Collection[str]) -> int:
    """How many leases are still held, and were renewed. The order numbers are for the index."""
    held = Payment.objects.filter(order__number__in=order_numbers, lease_token__in=tokens)
    return held.update(lease_until=lease_end())


def end_leases(owner: str, *, order_numbers: Collection[str]) -> int:
    """End the leases of a process that is known to have died, and answer how many it had."""
    held = Payment.objects.filter(order__number__in=order_numbers, lease_owner=owner)
    return held.filter(lease_until__isnull=False).update(
        lease_token=None, lease_until=None, lease_owner=""
    )
