"""The one writer of outbox messages: one waiting question for each thing that is asked.

Whoever wants something of the worker asks here. A question that waits already is joined, and goes
out at the earlier of both times; so however many hints, sweeps and later tries there are of one
order, they are one message.
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


def hasten_all(*, now: datetime, within: timedelta, spread: timedelta) -> int:
    """What waits for a later try goes out soon: whatever was in the way of all is gone. Spread by
    chance, so that not all of it comes at once; how many questions that were."""
    later = OutboxMessage.objects.filter(
        published_at=None, available_at__gt=now, available_at__lte=now + within
    )
    wait = ExpressionWrapper(Random() * Value(spread), output_field=DurationField())
    return later.update(available_at=Least(F("available_at"), Value(now) + wait))
