"""Which webhooks a test's endpoint wants."""

from checkout.orders.models import WebhookKind

# Everything but `order.placed`. A test of sending counts one webhook for each order that is paid.
AFTER_PLACING = [kind for kind in WebhookKind.values if kind != WebhookKind.PLACED]
