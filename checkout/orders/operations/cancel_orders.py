"""Cancelling orders by their numbers, paid or not, as after a product turned out not to exist."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from django.db import OperationalError
from psycopg.errors import LockNotAvailable

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.cancelling import cancel_paid
from checkout.orders.models import Order
from checkout.orders.numbers import parse_order_number
from checkout.orders.operations.staff_actions import ask_to_cancel
from checkout.orders.states import PAID_FOR, Canceller, OrderStatus
from checkout.runtime.terminal import aligned


class Outcome(Enum):
    CANCELLED = "cancelled"
    ASKED = "asked"  # the worker cancels it, at the gateway first
    BEFORE = "before"
    IMPOSSIBLE = "impossible"
    BUSY = "busy"
    UNKNOWN = "unknown"


GOOD = {Outcome.CANCELLED, Outcome.ASKED, Outcome.BEFORE}


@dataclass(frozen=True, kw_only=True)
class Result:
    order: str
    status: str  # as it was before
    outcome: Outcome
    says: str

    @property
    def is_good(self) -> bool:
        return self.outcome in GOOD


def cancel_orders(
    numbers: Iterable[str], *, by: str, reason: str, now: datetime
) -> Iterator[Result]:
    """Cancel each order in a transaction of its own, so that this may be killed and repeated."""
    for typed in numbers:
        number = parse_order_number(typed)
        order = Order.objects.filter(number=number or "").first()
        outcome, says = Outcome.UNKNOWN, "no such order"
        if order is not None:
            outcome, says = _cancel(order, by=by, reason=reason, now=now)
        status = order.status if order else ""
        yield Result(order=number or typed, status=status, outcome=outcome, says=says)


def _cancel(order: Order, *, by: str, reason: str, now: datetime) -> tuple[Outcome, str]:
    if order.status == OrderStatus.CANCELLED:
        return Outcome.BEFORE, "It was cancelled before."
    try:
        if order.is_free:
            return Outcome.CANCELLED, ask_to_cancel(order, by=by, why=reason, now=now)
        if order.status not in PAID_FOR:
            return Outcome.ASKED, ask_to_cancel(order, by=by, why=reason, now=now)
        if cancel_paid(order, Canceller.STAFF, by=by, why=reason, now=now):
            return Outcome.CANCELLED, "It is cancelled, and a worker sends its money back."
    except ActionImpossible as error:
        return Outcome.IMPOSSIBLE, str(error)
    except OperationalError as error:
        if isinstance(error.__cause__, LockNotAvailable):
            return Outcome.BUSY, "Another process has it now, try again."
        raise
    return Outcome.BEFORE, "It was cancelled before."


def as_table(results: list[Result]) -> str:
    rows = [("order", "was", "outcome", "")]
    rows += [(r.order, r.status or "-", r.outcome.value, r.says) for r in results]
    good = sum(result.is_good for result in results)
    return "\n".join([*aligned(rows), f"{good} of {len(results)} orders."])
