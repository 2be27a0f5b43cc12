"""How often somebody did something."""

from django.db import models


class LimitCount(models.Model):
    """How often a key (a session, a network address, the whole shop) did something in one window
    of time. Rows whose window is over mean nothing and are pruned."""

    key = models.CharField(max_length=80)
    window_end = models.DateTimeField()
    count = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["key", "window_end"], name="orders_limitcount_uniq"),
        ]
        indexes = [models.Index(fields=["window_end"], name="orders_limitcount_end_idx")]

    def __str__(self) -> str:
        return f"{self.key}: {self.count}"
