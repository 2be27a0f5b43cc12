"""What customers' banks hold or have taken, as far as it is written down. No gateway is asked."""

from django.db.models import Sum

from payments.models import Dispute, Payment
from payments.states import BLOCKING_DISPUTES, DisputeStatus


def is_disputed(order_id: int) -> bool:
    """Whether a bank holds money of this order's, so that none may be sent back beside it."""
    return Dispute.objects.filter(payment__order=order_id, status__in=BLOCKING_DISPUTES).exists()


def is_money_held(order_id: int) -> bool:
    """Whether a bank holds money of this order's, or has taken it back for good. Nothing of the
    order is sent then."""
    held = {*BLOCKING_DISPUTES, DisputeStatus.LOST}
    return Dispute.objects.filter(payment__order=order_id, status__in=held).exists()


def lost_minor(payment: Payment) -> int:
    """What the customer's bank has taken back of a charge, for good."""
    lost = payment.disputes.filter(status=DisputeStatus.LOST)
    total: int = lost.aggregate(total=Sum("amount_minor"))["total"] or 0
    return total
