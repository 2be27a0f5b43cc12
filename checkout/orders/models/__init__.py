"""The tables of orders. Other modules import them from here, whichever file they stand in."""

from checkout.orders.models.attention import AttentionReason
from checkout.orders.models.limits import LimitCount
from checkout.orders.models.mail import AccountMail, Mail, SentByMailer
from checkout.orders.models.operations import (
    Installation,
    PaymentsPause,
    ProcessAlive,
    QueueSeen,
    new_installation_id,
)
from checkout.orders.models.order import (
    CHECKOUT_UNIQUE,
    Order,
    OrderEvent,
    OrderLine,
    OutboxMessage,
    new_reference,
)
from checkout.orders.models.webhooks import (
    SECRET_BYTES,
    SECRET_PREFIX,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    every_kind,
    new_secret,
    open_deliveries,
)

__all__ = [
    "CHECKOUT_UNIQUE",
    "SECRET_BYTES",
    "SECRET_PREFIX",
    "AccountMail",
    "AttentionReason",
    "Installation",
    "LimitCount",
    "Mail",
    "Order",
    "OrderEvent",
    "OrderLine",
    "OutboxMessage",
    "PaymentsPause",
    "ProcessAlive",
    "QueueSeen",
    "SentByMailer",
    "WebhookDelivery",
    "WebhookEndpoint",
    "WebhookKind",
    "every_kind",
    "new_installation_id",
    "new_reference",
    "new_secret",
    "open_deliveries",
]
