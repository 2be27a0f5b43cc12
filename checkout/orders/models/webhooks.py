"""The systems that receive webhooks, and what was sent to each."""

import base64
import secrets
import uuid
from urllib.parse import urlsplit

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models.functions import Now

from checkout.orders.states import OrderStatus
from checkout.runtime.claiming import Sendable

# Standard Webhooks, "Signature scheme": a random key of 24 to 64 bytes, base64, after `whsec_`.
SECRET_PREFIX = "whsec_"  # noqa: S105 - what every secret begins with
SECRET_BYTES = 32


def new_secret() -> str:
    return SECRET_PREFIX + base64.b64encode(secrets.token_bytes(SECRET_BYTES)).decode()


class WebhookKind(models.TextChoices):
    PLACED = "order.placed", "order.placed"
    AUTHORISED = "order.authorised", "order.authorised"
    PAID = "order.paid", "order.paid"
    PAYMENT_FAILED = "order.payment_failed", "order.payment_failed"
    CANCELLED = "order.cancelled", "order.cancelled"
    REFUNDED = "order.refunded", "order.refunded"
    REFUND_FAILED = "order.refund_failed", "order.refund_failed"
    SHIPPED = "order.shipped", "order.shipped"
    SHIPMENT_UNDONE = "order.shipment_undone", "order.shipment_undone"
    DISPUTED = "order.disputed", "order.disputed"


def every_kind() -> list[str]:
    return list(WebhookKind.values)


class WebhookEndpoint(models.Model):
    """A system that receives webhooks. Only operators add one, since the shop calls its address."""

    url = models.CharField(max_length=500)
    kinds = ArrayField(
        models.CharField(max_length=30, choices=WebhookKind),
        default=every_kind,
        verbose_name="is told of",
    )
    secret = models.CharField(max_length=120, default=new_secret, editable=False)
    # The old secret signs beside the new one for some days, so that the other side has time.
    previous_secret = models.CharField(max_length=120, blank=True, default="", editable=False)
    rotated_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now())
    is_active = models.BooleanField(default=True)
    # Why nothing is sent there, and since when.
    off_reason = models.CharField(max_length=100, blank=True, default="", db_default="")
    off_since = models.DateTimeField(null=True, blank=True)
    # When the endpoint was last switched on. What waited for it is tried from then on.
    on_since = models.DateTimeField(null=True, blank=True)
    # A removed endpoint stays as long as its deliveries, without its secrets.
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"{self.pk}: {self.host}"

    @property
    def host(self) -> str:
        """The host alone may be shown: the rest of the address may hold a key."""
        return urlsplit(self.url).hostname or ""


class WebhookDelivery(Sendable):
    """One event for one endpoint: the event's transaction decides, and the sender sends after it.

    The content is kept as it was then, so that each try sends the same.
    """

    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="webhook_deliveries")
    event = models.ForeignKey("orders.OrderEvent", models.PROTECT, related_name="+")
    endpoint = models.ForeignKey(WebhookEndpoint, models.PROTECT, related_name="deliveries")
    kind = models.CharField(max_length=30, choices=WebhookKind)
    status = models.CharField(max_length=20, choices=OrderStatus)
    refunded_minor = models.PositiveBigIntegerField()
    # For a refund, how much was sent back.
    amount_minor = models.PositiveBigIntegerField(null=True, blank=True)
    # Every try has the same id, so that the other side can drop the second.
    webhook_id = models.UUIDField(default=uuid.uuid4, editable=False)
    # Since when it is tried: since its event, or since a person had it sent again.
    wanted_since = models.DateTimeField()
    tries = models.PositiveIntegerField(default=0, db_default=0)
    # What the last try was answered, or why it was not, and how long that took.
    last_status = models.PositiveSmallIntegerField(null=True, blank=True)
    last_error = models.CharField(max_length=60, blank=True, default="", db_default="")
    last_took_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        verbose_name_plural = "webhook deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=["event", "endpoint"], name="orders_webhookdelivery_once_uniq"
            ),
        ]
        indexes = [
            models.Index(
                fields=["endpoint", "available_at", "id"],
                condition=models.Q(sent_at__isnull=True, gave_up_at__isnull=True),
                name="orders_webhook_open_idx",
            ),
            # A claim asks here which open delivery of an order is the oldest.
            models.Index(
                fields=["endpoint", "order", "event"],
                condition=models.Q(sent_at__isnull=True, gave_up_at__isnull=True),
                name="orders_webhook_oldest_idx",
            ),
            # For the admin's list of what was not delivered: it waits, or was given up.
            models.Index(
                fields=["id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_webhook_unsent_idx",
            ),
        ]
        permissions = [("resend_webhook", "Can tell another system of an order again")]

    def __str__(self) -> str:
        return f"{self.kind} to {self.endpoint.host}"

    @property
    def message_id(self) -> str:
        return f"msg_{self.webhook_id.hex}"

    @property
    def outcome(self) -> str:
        """How the last try ended, in a few words."""
        return f"answered {self.last_status}" if self.last_status else self.last_error


def open_deliveries() -> models.QuerySet[WebhookDelivery]:
    """The deliveries that are neither sent nor given up."""
    return WebhookDelivery.objects.filter(sent_at=None, gave_up_at=None)
