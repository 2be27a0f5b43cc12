"""Mails that wait for the mailer, and what became of them."""

import uuid

from django.db import models
from django.db.models.functions import Now

from checkout.orders.models.order import Order, OrderEvent


class SentByMailer(models.Model):
    """What the mailer's tables have in common: when a mail is due, who has it, and how it ended."""

    # The same for every copy that is sent, so that mail systems can drop the second.
    message_id = models.UUIDField(default=uuid.uuid4, editable=False)
    available_at = models.DateTimeField()
    # Until then one mailer has it in hand. By the database's clock.
    claimed_until = models.DateTimeField(null=True, blank=True)
    tries = models.PositiveIntegerField(default=0)
    sent_at = models.DateTimeField(null=True, blank=True)
    # When it was tried for the last time, in vain.
    gave_up_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        abstract = True


class Mail(SentByMailer):
    """An e-mail that was decided in a transaction and is sent after it, by the mailer.

    To whom and what about is read from the order when it is sent: no copy of either is kept here.
    """

    class Kind(models.TextChoices):
        RECEIVED = "received", "Order received"
        STILL_PAYING = "still_paying", "Payment takes longer than usual"
        ACTION_REQUIRED = "action_required", "The bank waits for an approval"
        PAYMENT_FAILED = "payment_failed", "Payment failed"
        PAID = "paid", "Receipt"
        REVIVED = "revived", "Paid after it was cancelled"
        CANCELLED = "cancelled", "Order cancelled"
        SURPLUS = "surplus", "Charged too much, goes back"
        REFUNDED = "refunded", "Refund"
        REFUND_FAILED = "refund_failed", "Refund that came back"
        LINK = "link", "Link to the order"

    order = models.ForeignKey(Order, models.PROTECT, related_name="mails")
    # What it tells of. One event makes one mail at most, whoever records it again.
    event = models.ForeignKey(OrderEvent, models.PROTECT, related_name="+")
    kind = models.CharField(max_length=20, choices=Kind)
    # Of a refund: how much was sent back by it.
    amount_minor = models.PositiveBigIntegerField(null=True, blank=True)
    # Since when it is tried, where somebody asked for it again. Empty: since its event.
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
    """What somebody asked for by e-mail who has shown nothing yet, decided by a request and seen to
    after it by the mailer. Rows live for a day; see `mailing.record`."""

    class Kind(models.TextChoices):
        PASSWORD = "password", "A new password"
        SIGN_UP = "sign_up", "A new account"
        FIND_ORDER = "find_order", "The link to an order"

    kind = models.CharField(max_length=20, choices=Kind)
    email = models.EmailField()
    language = models.CharField(max_length=10, blank=True, default="")
    # The number of the order whose link is asked for.
    number = models.CharField(max_length=24, blank=True, default="")
    # Where in the shop a new account leads to. Empty: to its own page.
    then = models.CharField(max_length=300, blank=True, default="")
    # The stretch of time in which one is sent to this address.
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
