"""What the processes of this installation tell each other and the staff."""

import secrets

from django.db import models
from django.db.models.functions import Now


def new_installation_id() -> str:
    return secrets.token_urlsafe(16)


class PaymentsPause(models.Model):
    """Whether calls to the gateway are paused. There is one row, from the first pause on."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    reason = models.CharField(max_length=200)
    paused_by = models.CharField(max_length=100)
    paused_at = models.DateTimeField()
    resumed_by = models.CharField(max_length=100, blank=True, default="", db_default="")
    # Empty: payments are paused now.
    resumed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_paymentspause_one_row"),
        ]

    def __str__(self) -> str:
        return f"Paused by {self.paused_by}: {self.reason}"


class Installation(models.Model):
    """The id of this installation, which a migration draws at random. There is one row. Together
    with an order's reference the id names the order to the gateway and on the queue."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    installation_id = models.CharField(max_length=32, default=new_installation_id, editable=False)
    drawn_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        verbose_name_plural = "installation"
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_installation_one_row"),
        ]

    def __str__(self) -> str:
        return self.installation_id


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


class QueueSeen(models.Model):
    """How many messages the queues held when a worker last looked. There is one row. Web processes
    have no right to ask SQS, and show this instead."""

    ONLY = 1

    id = models.PositiveSmallIntegerField(primary_key=True, default=ONLY, editable=False)
    waiting = models.PositiveIntegerField()
    in_hand = models.PositiveIntegerField()
    delayed = models.PositiveIntegerField()
    dead_letters = models.PositiveIntegerField()
    seen_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.CheckConstraint(condition=models.Q(pk=1), name="orders_queueseen_one_row"),
        ]

    def __str__(self) -> str:
        return f"{self.waiting} waiting, {self.dead_letters} dead letters"
