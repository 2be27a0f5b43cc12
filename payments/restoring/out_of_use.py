"""What of payments could act twice after a backup was restored; see
`checkout.orders.restoring.acts_twice`."""

from checkout.orders.restoring.acts_twice import OutOfUse, register
from payments.models import Capture, Refund
from payments.states import UNSETTLED_REFUNDS, CaptureStatus


def ask_before_sending() -> int:
    """What was asked for here and not sent may have been sent since. Whatever was tried before is
    looked for at the gateway first, also where the gateway has forgotten its key."""
    refunds = Refund.objects.filter(status__in=UNSETTLED_REFUNDS, tries=0)
    captures = Capture.objects.filter(status=CaptureStatus.REQUESTED, tries=0)
    return refunds.update(tries=1) + captures.update(tries=1)


register(
    OutOfUse(
        what="refunds and charges for parcels, until the gateway was asked for them",
        put=ask_before_sending,
    )
)
