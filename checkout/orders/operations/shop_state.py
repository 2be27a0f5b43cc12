"""How the shop stands at one moment. The metrics, `queue_status` and the admin's dashboard read the
figures that they have in common from here, so that all three tell the same.
"""

from datetime import datetime, timedelta
from functools import cached_property

from django.db.models import Count, Min, Q, QuerySet

from checkout.orders.attention.queries import waiting_for_a_person
from checkout.orders.dispatch.to_send import orders_to_send
from checkout.orders.models import Order, OutboxMessage, PaymentsPause
from checkout.orders.pausing import current_pause
from checkout.orders.states import UNSETTLED, WAITS_FOR_OTHERS

# A publisher that runs takes what is due within a second.
PUBLISHER_LATE = timedelta(minutes=1)

# A worker that runs has settled a message, or put it off, within its deadline of a minute.
WORKER_LATE = timedelta(minutes=5)

# After so long without an outcome a person should look; the sweep has published again by then.
WAITING_TOO_LONG = timedelta(minutes=20)


def waiting_too_long(*, now: datetime) -> QuerySet[Order]:
    """Those that the shop owes an outcome. A customer who lets their bank's question lie, or sends
    their money tomorrow, is nothing that a person could see to."""
    return Order.objects.filter(
        status__in=sorted(UNSETTLED - WAITS_FOR_OTHERS),
        status_changed_at__lt=now - WAITING_TOO_LONG,
    )


class ShopState:
    """Each figure is one statement by an index, made when the figure is first read."""

    def __init__(self, *, now: datetime) -> None:
        self.now = now
        self._unpublished = OutboxMessage.objects.filter(published_at=None).order_by()

    @cached_property
    def next_message_at(self) -> datetime | None:
        """When the first message of the outbox is due, or has been due since."""
        at: datetime | None = self._unpublished.aggregate(at=Min("available_at"))["at"]
        return at

    @property
    def oldest_due_at(self) -> datetime | None:
        at = self.next_message_at
        return at if at and at <= self.now else None

    @cached_property
    def messages(self) -> dict[str, int]:
        """How many messages of the outbox are `waiting`, and how many of those are `due`."""
        is_due = Q(available_at__lte=self.now)
        return self._unpublished.aggregate(waiting=Count("pk"), due=Count("pk", filter=is_due))

    @cached_property
    def for_a_person(self) -> int:
        return waiting_for_a_person().order_by().count()

    @cached_property
    def waiting_too_long(self) -> int:
        return waiting_too_long(now=self.now).count()

    @cached_property
    def oldest_to_send_at(self) -> datetime | None:
        """Since when the oldest order of which something is to be sent has had its status."""
        return orders_to_send().values_list("status_changed_at", flat=True).first()

    @cached_property
    def pause(self) -> PaymentsPause | None:
        return current_pause()
