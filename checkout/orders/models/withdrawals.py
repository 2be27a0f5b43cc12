"""Customers who withdraw from their purchase, as EU law lets them (2011/83/EU, Article 11a)."""

from django.db import models
from django.db.models.functions import Now, Upper

from checkout.orders.models.order import Order, OrderEvent


class Withdrawal(models.Model):
    """What a customer stated, recorded once with its second. Staff decide what is sent back.

    The request stores the row alone, whether there is such an order or not. The mailer takes it up:
    it looks for the order, puts that before a person and writes the mail that acknowledges it.
    """

    class Status(models.TextChoices):
        STATED = "stated", "Stated, nobody has decided"
        AGREED = "agreed", "Agreed to"
        REFUSED = "refused", "Refused"
        CLOSED = "closed", "Closed without an order to decide about"

    # Empty: number and address name no order together, and staff must look.
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="withdrawals"
    )
    # Made with the page on which it is confirmed: one key, one statement.
    key = models.CharField(max_length=100, editable=False)
    # In the stored form, if it is an order's number; else as it was typed.
    number = models.CharField(max_length=40)
    full_name = models.CharField(max_length=200)
    email = models.EmailField()
    # What of the order the statement is about; empty: all of it.
    about = models.CharField(max_length=1000, blank=True)
    language = models.CharField(max_length=10, blank=True, default="")
    stated_at = models.DateTimeField(db_default=Now())
    taken_up_at = models.DateTimeField(null=True, blank=True)
    event = models.OneToOneField(
        OrderEvent, models.PROTECT, null=True, blank=True, related_name="withdrawal"
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.STATED)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True, default="")
    decided_why = models.CharField(max_length=1000, blank=True, default="", db_default="")

    class Meta:
        ordering = ["-id"]
        permissions = [("decide_withdrawal", "Can decide about a customer's withdrawal")]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="orders_withdrawal_key_uniq"),
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(status="stated"),
                name="orders_withdrawal_open_uniq",
            ),
            # The same for a statement whose order is not known, or not known yet.
            models.UniqueConstraint(
                Upper("email"),
                "number",
                condition=models.Q(status="stated"),
                name="orders_withdrawal_stated_uniq",
            ),
        ]
        indexes = [
            models.Index(
                fields=["id"],
                condition=models.Q(status="stated"),
                name="orders_withdrawal_open_idx",
            ),
            # These are pruned: decided, and about no order of ours.
            models.Index(
                fields=["decided_at"],
                condition=models.Q(order__isnull=True, decided_at__isnull=False),
                name="orders_withdrawal_old_idx",
            ),
            models.Index(
                fields=["id"],
                condition=models.Q(taken_up_at__isnull=True),
                name="orders_withdrawal_new_idx",
            ),
        ]

    def __str__(self) -> str:
        return f"Withdrawal {self.pk}"
