from django.db import models
from moneyed import Money

from checkout.catalogue.money import money


class ExpectedTransfer(models.Model):
    """What an order waits for, or money that came and was not waited for. It is what a gateway
    would call a payment."""

    # What the payments of the shop call it.
    payment_id = models.CharField(max_length=60, primary_key=True)
    key = models.CharField(max_length=80)
    number = models.CharField(max_length=24)
    reference = models.CharField(max_length=32, blank=True)
    installation = models.CharField(max_length=32, blank=True)
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    opened_at = models.DateTimeField()
    cancelled_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["opened_at"]
        constraints = [
            models.UniqueConstraint(fields=["key"], name="bank_transfer_expected_key_uniq"),
        ]
        indexes = [
            models.Index(fields=["number"], name="bank_transfer_number_idx"),
            models.Index(fields=["-opened_at"], name="bank_transfer_opened_idx"),
        ]

    def __str__(self) -> str:
        return self.payment_id


class ReceivedTransfer(models.Model):
    """One entry of the bank's statement. It is recorded once, by the bank's own reference."""

    bank_reference = models.CharField("the bank's reference", max_length=80)
    booked_on = models.DateField()
    amount_minor = models.PositiveBigIntegerField()
    currency = models.CharField(max_length=3)
    # What the payer wrote. Kept only while nobody knows for which order the money is.
    text = models.CharField(max_length=300, blank=True)
    # What the money is for. Empty: a person has to say, or has set the money aside.
    expected = models.ForeignKey(
        ExpectedTransfer, models.PROTECT, null=True, blank=True, related_name="received"
    )
    recorded_at = models.DateTimeField()
    recorded_by = models.CharField(max_length=150)
    seen_to_at = models.DateTimeField("set aside at", null=True, blank=True)
    seen_to_by = models.CharField("set aside by", max_length=150, blank=True)
    seen_to_how = models.CharField("why set aside", max_length=1000, blank=True)

    class Meta:
        ordering = ["-id"]
        permissions = [("record_transfers", "Can record bank transfers")]
        constraints = [
            models.UniqueConstraint(
                fields=["bank_reference"], name="bank_transfer_received_reference_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0), name="bank_transfer_received_positive"
            ),
        ]

    def __str__(self) -> str:
        return self.bank_reference

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.currency)


class ReturnedTransfer(models.Model):
    """Money that staff send back by the shop's bank. It is on its way until they say that they
    have sent it."""

    expected = models.ForeignKey(ExpectedTransfer, models.PROTECT, related_name="returned")
    key = models.CharField(max_length=80)
    amount_minor = models.PositiveBigIntegerField()
    asked_at = models.DateTimeField()
    sent_at = models.DateTimeField(null=True, blank=True)
    sent_by = models.CharField(max_length=150, blank=True)
    bank_reference = models.CharField("the bank's reference", max_length=80, blank=True)

    class Meta:
        ordering = ["id"]
        permissions = [("send_transfers_back", "Can say that a bank transfer was sent back")]
        constraints = [
            models.UniqueConstraint(
                fields=["expected", "key"], name="bank_transfer_returned_key_uniq"
            ),
            models.CheckConstraint(
                condition=models.Q(amount_minor__gt=0), name="bank_transfer_returned_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"Return {self.pk}"

    @property
    def amount(self) -> Money:
        return money(self.amount_minor, self.expected.currency)
