"""Customers who withdraw from their purchase, as EU law lets them (2011/83/EU, Article 11a)."""

from django.db import models
from django.db.models.functions import Now

from checkout.orders.models.order import Order, OrderEvent


class Withdrawal(models.Model):
    """What a customer stated, recorded once with its second. Staff decide what is sent back."""

    class Status(models.TextChoices):
        STATED = "stated", "Stated, nobody has decided"
        AGREED = "agreed", "Agreed to"
        REFUSED = "refused", "Refused"

    # Empty: number and address name no order together, and staff must look.
    order = models.ForeignKey(
        Order, models.PROTECT, null=True, blank=True, related_name="withdrawals"
    )
    # Made with the page on which it is confirmed: one key, one statement.
    key = models.CharField(max_length=100, editable=False)
    # As it was typed.
    number = models.CharField(max_length=40)
    full_name = models.CharField(max_length=200)
    email = models.EmailField()
    # What of the order the statement is about; empty: all of it.
    about = models.CharField(max_length=1000, blank=True)
    language = models.CharField(max_length=10, blank=True, default="")
    stated_at = models.DateTimeField(db_default=Now())
    event = models.OneToOneField(
        OrderEvent, models.PROTECT, null=True, blank=True, related_name="withdrawal"
    )
    status = models.CharField(max_length=10, choices=Status, default=Status.STATED)
    decided_at = models.DateTimeField(null=True, blank=True)
    decided_by = models.CharField(max_length=150, blank=True, default="")

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
        ]

    def __str__(self) -> str:
        return f"Withdrawal {self.pk}"
