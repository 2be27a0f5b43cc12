"""What the processes of this installation tell each other and the staff."""

import secrets

from django.db import models
from django.db.models.functions import Now


def new_installation_id() -> str:
    return secrets.token_urlsafe(16)


class OneRow(models.Model):
    """A table that has one row."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_%(class)s_one_row"),
        ]


class PaymentsPause(OneRow):
    """Whether calls to the gateway are paused. The row is there from the first pause on."""

    reason = models.CharField(max_length=200)
    paused_by = models.CharField(max_length=100)
    paused_at = models.DateTimeField()
    resumed_by = models.CharField(max_length=100, blank=True, default="", db_default="")
    # Empty: payments are paused now.
    resumed_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"Paused by {self.paused_by}: {self.reason}"


class Installation(OneRow):
    """The id of this installation, which a migration draws at random. Together with an order's
    reference the id names the order to the gateway and on the queue."""

    installation_id = models.CharField(max_length=32, default=new_installation_id, editable=False)
    drawn_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta(OneRow.Meta):
        verbose_name_plural = "installation"

    def __str__(self) -> str:
        return self.installation_id


class Restore(models.Model):
    """The database went back to an earlier moment, because a backup was restored: one row for each
    time that `after_restore` was told of. Forms from before `found_at` may be of orders that were
    placed and are lost."""

    went_back_to = models.DateTimeField()
    found_at = models.DateTimeField()
    found_by = models.CharField(max_length=100)

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"Back to {self.went_back_to:%Y-%m-%d %H:%M}"


class ProcessAlive(models.Model):
    """When a publisher, worker, mailer or webhook sender last made progress. Old rows belong to
    processes that ended; the publisher deletes them."""

    name = models.CharField(max_length=120)  # host:pid
    kind = models.CharField(max_length=20)
    began_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["name", "kind"], name="orders_processalive_uniq"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class QueueSeen(OneRow):
    """How many messages the queues held when a worker last looked. Web processes have no right to
    ask SQS, and show this instead."""

    waiting = models.PositiveIntegerField()
    in_hand = models.PositiveIntegerField()
    delayed = models.PositiveIntegerField()
    dead_letters = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.waiting} waiting, {self.dead_letters} dead letters"
