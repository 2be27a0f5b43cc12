"""Mails that wait for the mailer, and what became of them."""

import uuid

from django.db import models
from django.db.models.functions import Now

from checkout.orders.models.order import Order, OrderEvent
from checkout.runtime.claiming import Sendable


class SentByMailer(Sendable):
    """What the mailer's tables have in common."""

    # Every copy that is sent has the same id, so that mail systems can drop the second.
    message_id = models.UUIDField(default=uuid.uuid4, editable=False)

    class Meta:
        abstract = True


class Mail(SentByMailer):
    """An e-mail that was decided in a transaction and is sent after it, by the mailer.

    Address and content are read from the order when the mail is sent; no copy of them is kept here.
    """

    class Kind(models.TextChoices):
        RECEIVED = "received", "Order received"
        STILL_PAYING = "still_paying", "Payment takes longer than usual"
        ACTION_REQUIRED = "action_required", "The bank waits for an approval"
        PROMISED = "promised", "The bank sends the money within days"
        AUTHORISED = "authorised", "The bank has set the money aside"
        MONEY_AWAITED = "money_awaited", "The customer sends the money themselves"
        PAYMENT_FAILED = "payment_failed", "Payment failed"
        PAID = "paid", "Receipt"
        REVIVED = "revived", "Paid after it was cancelled"
        CANCELLED = "cancelled", "Order cancelled"
        SURPLUS = "surplus", "Charged too much, goes back"
        REFUNDED = "refunded", "Refund"
        RELEASED = "released", "Not charged, for what is not sent"
        REFUND_FAILED = "refund_failed", "Refund that came back"
        LINK = "link", "Link to the order"
        SHIPPED = "shipped", "A parcel was sent"
        SHIPMENT_UNDONE = "shipment_undone", "A parcel was marked as sent by mistake"
        CALLED_OFF = "called_off", "Cancelled after it was paid, the money goes back"
        RETURNED = "returned", "A return has arrived"
        WITHDRAWN = "withdrawn", "A withdrawal was received"
        WITHDRAWAL_AGREED = "withdrawal_agreed", "Agreed to a withdrawal, the goods come back first"
        WITHDRAWAL_REFUSED = "withdrawal_refused", "A withdrawal was refused"
        SHOP_ORDER = "shop_order", "To the shop: a new paid order"

    order = models.ForeignKey(Order, models.PROTECT, related_name="mails")
    # The event that the mail tells of. The constraint allows one mail for each event.
    event = models.ForeignKey(OrderEvent, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    # For a refund, how much was sent back.
    amount_minor = models.PositiveBigIntegerField(null=True, blank=True)
    # Since when the mail is tried, where a person had it sent again. Empty: since its event.
    wanted_since = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["event"], name="orders_mail_event_uniq"),
        ]
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_mail_unsent_idx",
            ),
            models.Index(
                fields=["order", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_mail_oldest_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"


class AccountMail(SentByMailer):
    """An e-mail that somebody asked for who is not signed in. The request stores only what was
    asked for; the mailer looks whether there is such an account or order. Rows live for a day."""

    class Kind(models.TextChoices):
        PASSWORD = "password", "A new password"
        SIGN_UP = "sign_up", "A new account"
        FIND_ORDER = "find_order", "The link to an order"
        WITHDRAWAL = "withdrawal", "A withdrawal whose order was not found"

    kind = models.CharField(max_length=20, choices=Kind)
    email = models.EmailField()
    language = models.CharField(max_length=10, blank=True, default="")
    # The number of the order that it is about.
    number = models.CharField(max_length=24, blank=True, default="")
    # The page that a new account is led to. Empty: the account's own page.
    then = models.CharField(max_length=300, blank=True, default="")
    # The start of the stretch of time in which one such mail is sent to this address.
    stretch = models.DateTimeField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "email", "number", "stretch"],
                name="orders_accountmail_stretch_uniq",
            ),
        ]
        indexes = [
            models.Index(
                fields=["available_at", "id"],
                condition=models.Q(sent_at__isnull=True),
                name="orders_accountmail_unsent_idx",
            ),
            models.Index(fields=["created_at"], name="orders_accountmail_age_idx"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
