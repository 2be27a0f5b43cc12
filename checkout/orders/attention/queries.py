"""Which orders a person must look at, and why.

The release before this one serves beside it during a deployment and knows the column
`Order.needs_person` alone. Whatever only that column says is therefore read as well.
"""

from dataclasses import dataclass
from datetime import datetime

from django.contrib.postgres.expressions import ArraySubquery
from django.db.models import BooleanField, Func, QuerySet

from checkout.orders.attention.reasons import NOT_FOR_CUSTOMERS, what_ends
from checkout.orders.models import AttentionReason, Order


class IsOneOf(Func):
    """Whether a value is in an array, which PostgreSQL reads first. For a join it expects too many
    rows here, and then reads all orders."""

    template = "%(expressions)s)"
    arg_joiner = " = ANY("
    output_field = BooleanField()


@dataclass(frozen=True, kw_only=True)
class OpenReason:
    reason: str
    since: datetime | None  # None: the release before this one opened it and kept no time

    @property
    def ended_by(self) -> str:
        return what_ends(self.reason)


def open_rows() -> QuerySet[AttentionReason]:
    return AttentionReason.objects.filter(resolved_at=None).order_by()


def waiting_for_a_person() -> QuerySet[Order]:
    return _orders_in(open_rows(), Order.objects.exclude(needs_person=""))


def waiting_because_of(reason: str) -> QuerySet[Order]:
    by_column = Order.objects.filter(needs_person=reason).exclude(needs_person="")
    return _orders_in(open_rows().filter(reason=reason), by_column)


def _orders_in(by_row: QuerySet[AttentionReason], by_column: QuerySet[Order]) -> QuerySet[Order]:
    ids = by_row.values("order_id").union(by_column.order_by().values("pk"))
    return Order.objects.filter(IsOneOf("pk", ArraySubquery(ids)))


def needs_closer_look(order: Order) -> bool:
    """Whether the customer's page says that a person looks at the payment. Most orders have no
    reason open, and cost no statement here."""
    return bool(order.needs_person) and any(
        one.reason not in NOT_FOR_CUSTOMERS for one in open_reasons(order)
    )


def open_reasons(order: Order) -> list[OpenReason]:
    """The open reasons, the oldest first. This is one statement, or none for prefetched rows."""
    found = [
        OpenReason(reason=row.reason, since=row.since)
        for row in sorted(order.attention.all(), key=lambda row: row.pk)
        if row.resolved_at is None
    ]
    if order.needs_person and order.needs_person not in {one.reason for one in found}:
        found.append(OpenReason(reason=order.needs_person, since=None))
    return found
