"""The one writer of outbox messages.

Where the same question waits already, the two become one message, which goes out at the earlier of
both times. So there is one message however many hints, sweeps and later tries an order has.
"""

from datetime import datetime, timedelta

from django.db.models import DurationField, ExpressionWrapper, F, Value
from django.db.models.functions import Least, Random

from checkout.orders.models import OutboxMessage


def ask(order_id: int, kind: str, *, at: datetime) -> None:
    """Have the worker asked at this time, or earlier where that is to happen anyway.

    A message that a publisher has in hand is not joined: it may be with the worker before this
    transaction commits, and the worker would look too early.
    """
    waiting = OutboxMessage.objects.filter(
        order_id=order_id, kind=kind, published_at=None, claimed_until=None
    )
    if not waiting.update(available_at=Least(F("available_at"), at)):
        ask_first(order_id, kind, at=at)


def ask_first(order_id: int, kind: str, *, at: datetime) -> None:
    """The same for an order that is placed in this transaction, about which nothing can wait."""
    OutboxMessage.objects.create(order_id=order_id, kind=kind, available_at=at)


def publish_again(order_id: int, kind: str, *, now: datetime) -> bool:
    """Publish a new generation of the order's last message of this kind, which SQS takes for a new
    message and not for a repetition. False where one waits to be published."""
    messages = OutboxMessage.objects.filter(order_id=order_id, kind=kind)
    if messages.filter(published_at__isnull=True).exists():
        return False
    latest = messages.order_by("-id").first()
    renewed = latest and OutboxMessage.objects.filter(pk=latest.pk).update(
        generation=F("generation") + 1,
        available_at=now,
        published_at=None,
        claimed_until=None,
    )
    if not renewed:  # there never was one, or it has just been pruned
        ask(order_id, kind, at=now)
    return True


def make_due(order_id: int, kind: str, *, now: datetime) -> bool:
    """Publish now what waits for a later try; False where nothing does. For people: they know that
    what was in the way is gone, and the next try may be an hour off."""
    later = OutboxMessage.objects.filter(
        order_id=order_id, kind=kind, published_at=None, available_at__gt=now
    )
    return bool(later.update(available_at=now))


def make_all_due(*, now: datetime, within: timedelta, spread: timedelta) -> int:
    """Publish soon what waits for a later try of any order: what was in the way of all is gone. The
    messages are spread by chance, so that not all come at once. Returns how many they are."""
    later = OutboxMessage.objects.filter(
        published_at=None, available_at__gt=now, available_at__lte=now + within
    )
    wait = ExpressionWrapper(Random() * Value(spread), output_field=DurationField())
    return later.update(available_at=Least(F("available_at"), Value(now) + wait))
