from django.db import models


class AttentionReason(models.Model):
    """One reason why a person must look at an order, from the time it arose until it was resolved.

    An order may have several at once, and the same one again after it was resolved.
    """

    order = models.ForeignKey("orders.Order", models.PROTECT, related_name="attention")
    reason = models.CharField(max_length=200)
    since = models.DateTimeField()
    # When the reason ended. Empty: a person must still look.
    resolved_at = models.DateTimeField(null=True, blank=True)
    # The person who ended the reason, by the name they sign in with. Empty: an event ended it.
    resolved_by = models.CharField(max_length=150, blank=True, default="", db_default="")
    resolution = models.CharField(max_length=1000, blank=True, default="", db_default="")

    class Meta:
        ordering = ["id"]
        constraints = [
            models.UniqueConstraint(
                fields=["order", "reason"],
                condition=models.Q(resolved_at__isnull=True),
                name="orders_attention_open_uniq",
            ),
        ]
        permissions = [("resolve_attention", "Can say that an order was seen to")]

    def __str__(self) -> str:
        return self.reason
