"""What becomes of old rows of payments; see `checkout.runtime.retention`."""

from datetime import timedelta

from checkout.runtime.retention import End, register
from payments.models import WebhookEvent

WITH_ORDER = "Stays with its order: books, support and disputes ask for it years later."

register(
    End(table="payments.Payment", why=WITH_ORDER),
    End(
        table="payments.PaymentAttempt",
        why=f"{WITH_ORDER} The gateway is asked ever more slowly, so there are few.",
    ),
    End(table="payments.Capture", why=WITH_ORDER),
    End(table="payments.Refund", why=WITH_ORDER),
    End(table="payments.RefundLine", why=WITH_ORDER),
    End(table="payments.Dispute", why=WITH_ORDER),
    End(table="payments.LostOrder", why="A charge without its order: books ask for it for years."),
    End(table="payments.GatewayRefusal", why="One row for each gateway."),
    End(
        table="payments.WebhookEvent",
        why=(
            "One about no order of ours is known again for as long as the gateway repeats it, "
            "which is three days. All others stay with their order."
        ),
        after=timedelta(days=90),
        ended=lambda before: WebhookEvent.objects.filter(
            order=None, received_at__lt=before
        ).order_by("received_at"),
    ),
)
