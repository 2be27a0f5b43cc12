"""What was charged for an order, what was sent back and what is on its way back.

The status of an order does not tell that: an order that is cancelled may have been charged, and one
that is paid may have been charged twice. Only the payments know, and they are on the other side of
this floor. So they say at start how they are asked, and nothing here imports them.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from checkout.orders.models import Order
from checkout.orders.states import EXPIRING, PAID_FOR, UNSETTLED, OrderStatus


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The money that moved for one order, over all its payments, in minor units."""

    charged_minor: int = 0
    charges: int = 0
    sent_back_minor: int = 0
    going_back_minor: int = 0  # asked for or prepared, and not there yet
    in_doubt: bool = False  # of a payment it is not known whether it was charged


Reader = Callable[[Collection[int]], dict[int, Moved]]

_readers: list[Reader] = []


@dataclass(frozen=True, kw_only=True)
class MoneyFacts:
    """All that a sentence about the money of an order may depend on."""

    status: OrderStatus
    total_minor: int
    moved: Moved = Moved()

    @property
    def is_free(self) -> bool:
        """Nothing was to be paid, and nothing was charged all the same."""
        return self.total_minor == 0 and not self.moved.charged_minor and not self.moved.in_doubt

    @property
    def is_charged(self) -> bool:
        return self.moved.charged_minor > 0

    @property
    def is_charge_unknown(self) -> bool:
        """Whether anything was, or is being, charged is not known yet."""
        under_way = self.status == OrderStatus.PLACED and not self.is_free
        return not self.is_charged and (under_way or self.moved.in_doubt)

    @property
    def is_final(self) -> bool:
        """Nothing more will change by itself."""
        if self.status == OrderStatus.CANCELLED:
            return self.moved.sent_back_minor >= self.moved.charged_minor
        return self.status not in UNSETTLED

    @property
    def can_pay(self) -> bool:
        """It can be paid with another method, or cancelled."""
        return self.status in EXPIRING

    @property
    def too_much_minor(self) -> int:
        """What was charged beyond what the order costs, and nobody has begun to send back."""
        kept = self.total_minor if self.status in PAID_FOR else 0
        moved = self.moved
        back = moved.sent_back_minor + moved.going_back_minor
        return max(0, moved.charged_minor - kept - back)


def read_with(reader: Reader) -> None:
    """Whoever keeps the payments says how they are asked: one statement for any number of orders.
    An order without a payment need not be in the answer."""
    _readers[:] = [reader]


def facts_of(orders: Sequence[Order]) -> dict[int, MoneyFacts]:
    """The facts by the orders' ids: one statement, however many orders there are."""
    [read] = _readers
    moved = read([order.pk for order in orders]) if orders else {}
    return {
        order.pk: MoneyFacts(
            status=OrderStatus(order.status),
            total_minor=order.total_minor,
            moved=moved.get(order.pk) or _as_its_status_says(order),
        )
        for order in orders
    }


def _as_its_status_says(order: Order) -> Moved:
    """What the status says of an order that has no payment here, such as one that was taken over
    from another system."""
    if order.status not in PAID_FOR or not order.total_minor:
        return Moved()
    sent_back_minor = order.refunded_minor
    if order.status == OrderStatus.REFUNDED:
        sent_back_minor = order.total_minor
    return Moved(charged_minor=order.total_minor, charges=1, sent_back_minor=sent_back_minor)


def facts_about(order: Order) -> MoneyFacts:
    return facts_of([order])[order.pk]
