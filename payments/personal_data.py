"""What payments store of a person; see `checkout.orders.privacy`."""

from collections.abc import Sequence
from typing import Any

from checkout.orders.attention.reasons import ENDED_BY
from checkout.orders.models import Order
from checkout.orders.privacy.parts import PartOfOrder, columns, register
from payments.models import Dispute, Payment, Refund
from payments.states import LIVE, OPEN_DISPUTES, UNSETTLED_REFUNDS, RefundStatus

# Keys and leases say nothing of the person, and keys are the shop's own secrets.
LEFT_OUT = ("order", "idempotency_key", "lease_token", "lease_until", "lease_owner", "tries")


def _export(order: Order) -> list[dict[str, Any]]:
    return [
        columns(payment, *LEFT_OUT)
        | {
            "refunds": [
                columns(each, "payment", "requested_by", "key", "tries")
                for each in payment.refunds.all()
            ],
            "disputes": [columns(each, "payment") for each in payment.disputes.all()],
        }
        for payment in order.payments.all()
    ]


def _erase(order: Order) -> None:
    """What gateways were told of the person, and what people typed as the reason of a refund. The
    shop's own reasons are fixed words."""
    Payment.objects.filter(order=order).update(details=None)
    refunds = Refund.objects.filter(payment__order=order).exclude(reason__in=ENDED_BY)
    refunds.update(reason="")


def _why_unfinished(order: Order) -> Sequence[str]:
    reasons = []
    refunds = Refund.objects.filter(payment__order=order)
    if refunds.filter(status__in=[RefundStatus.PREPARED, *UNSETTLED_REFUNDS]).exists():
        reasons.append("a refund is on its way, or waits for a person to agree")
    if Dispute.objects.filter(payment__order=order, status__in=OPEN_DISPUTES).exists():
        reasons.append("the customer's bank disputes a charge")
    if Payment.objects.filter(order=order, status__in=LIVE, closed_at=None).exists():
        reasons.append("a payment may still be charged")
    return reasons


register(PartOfOrder(name="payments", export=_export, erase=_erase, unfinished=_why_unfinished))
