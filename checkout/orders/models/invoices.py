"""Invoices and credit notes, and the counters that number them without a gap."""

from django.db import models


class InvoiceCounter(models.Model):
    """The last number of a series in a year. Its row is locked by whoever takes the next number,
    until that transaction ends: a number that is rolled back is given out again."""

    series = models.CharField(max_length=10)
    year = models.PositiveSmallIntegerField()
    last = models.PositiveIntegerField()

    class Meta:
        ordering = ["series", "year"]
        constraints = [
            models.UniqueConstraint(
                fields=["series", "year"], name="orders_invoicecounter_year_uniq"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.year}: {self.last}"


class InvoiceGap(models.Model):
    """Numbers that a restored backup has lost: somebody may have seen them, so that they are not
    given out again. The audit tells of them, and does not take them for missing."""

    series = models.CharField(max_length=10)
    year = models.PositiveSmallIntegerField()
    first = models.PositiveIntegerField()
    last = models.PositiveIntegerField()
    found_at = models.DateTimeField()
    # Who said that the last of these numbers was seen.
    found_by = models.CharField(max_length=100)

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["series", "year", "first"], name="orders_invoicegap_first_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(last__gte=models.F("first")), name="orders_invoicegap_of_some"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.series} {self.year}: {self.first} to {self.last}"


class Invoice(models.Model):
    """What the shop has invoiced or credited, as it was then. A trigger refuses every change."""

    class Kind(models.TextChoices):
        INVOICE = "invoice", "Invoice"
        CREDIT_NOTE = "credit_note", "Credit note"

    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="invoices")
    kind = models.CharField(max_length=20, choices=Kind)
    series = models.CharField(max_length=10)
    # The year in which it was issued, by the shop's own clock.
    year = models.PositiveSmallIntegerField()
    sequence = models.PositiveIntegerField()
    number = models.CharField(max_length=40)
    issued_at = models.DateTimeField()
    # All that stands on it except the number, frozen: seller, buyer, lines, tax. See
    # `checkout.orders.invoices.content`.
    content = models.JSONField()
    # What was invoiced or credited; both are positive.
    total_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # The event of the payment or the refund.
    event = models.ForeignKey("orders.OrderEvent", models.PROTECT, related_name="+", db_index=False)
    # For a credit note, the invoice that it corrects. The database does not hold the reference:
    # a year of old invoices is deleted without the credit notes of the year after.
    corrects = models.ForeignKey(
        "self",
        models.DO_NOTHING,
        null=True,
        blank=True,
        related_name="corrections",
        db_constraint=False,
        db_index=False,
    )

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(fields=["number"], name="orders_invoice_number_uniq"),
            # The year is first, for `prune` deletes by it.
            models.UniqueConstraint(
                fields=["year", "series", "sequence"], name="orders_invoice_sequence_uniq"
            ),
            models.UniqueConstraint(
                fields=["order"],
                condition=models.Q(kind="invoice"),
                name="orders_invoice_one_of_an_order",
            ),
            models.UniqueConstraint(fields=["event", "kind"], name="orders_invoice_event_uniq"),
            models.CheckConstraint(
                condition=models.Q(kind="invoice", corrects__isnull=True)
                | models.Q(kind="credit_note", corrects__isnull=False),
                name="orders_invoice_credit_corrects",
            ),
            models.CheckConstraint(
                condition=models.Q(total_minor__gt=0), name="orders_invoice_of_something"
            ),
        ]

    def __str__(self) -> str:
        return self.number

    @property
    def is_credit_note(self) -> bool:
        return self.kind == self.Kind.CREDIT_NOTE
