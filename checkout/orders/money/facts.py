"""What was charged for an order, what was sent back and what is on its way back.

The status of an order does not tell: a cancelled order may have been charged, and a paid one may
have been charged twice. Only the payments know, and this floor may not import them. So they
register at start how they are read.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from checkout.orders.models import Order
from checkout.orders.states import EXPIRING, PAID_FOR, UNSETTLED, OrderStatus
from checkout.orders.ways_to_pay.web_side import web_side_of


@dataclass(frozen=True, kw_only=True)
class Moved:
    """The money that moved for one order, over all its payments, in minor units."""

    charged_minor: int = 0
    charges: int = 0
    sent_back_minor: int = 0
    going_back_minor: int = 0  # requested or prepared, and not refunded yet
    # Their bank keeps it for the shop, which charges it when it is sent.
    set_aside_minor: int = 0
    parcels_charged: int = 0  # where each was charged when it was sent
    in_doubt: bool = False  # there is a payment of which nobody knows whether it was charged


Reader = Callable[[Collection[int]], dict[int, Moved]]

_readers: list[Reader] = []


@dataclass(frozen=True, kw_only=True)
class MoneyFacts:
    """Everything that a sentence about the money of an order may depend on."""

    status: OrderStatus
    total_minor: int
    moved: Moved = Moved()
    customer_sends: bool = False  # the money, and nothing is taken from them

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
    def is_set_aside(self) -> bool:
        """Their bank keeps money for the shop, and nothing was charged yet."""
        return self.status == OrderStatus.AUTHORISED

    @property
    def is_final(self) -> bool:
        """Nothing more will change by itself; what is set aside is charged when it is sent."""
        if self.status == OrderStatus.CANCELLED:
            return self.moved.sent_back_minor >= self.moved.charged_minor
        return self.status not in UNSETTLED or self.is_set_aside

    @property
    def can_pay(self) -> bool:
        """It can be paid with another method, or cancelled."""
        return self.status in EXPIRING

    @property
    def too_much_minor(self) -> int:
        """What was charged beyond the order's price and is not on its way back."""
        kept = self.total_minor if self.status in PAID_FOR else 0
        moved = self.moved
        back = moved.sent_back_minor + moved.going_back_minor
        return max(0, moved.charged_minor - kept - back)


def read_with(reader: Reader) -> None:
    """Register how payments are read, by one statement. Orders without one may be left out."""
    _readers[:] = [reader]


def facts_of(orders: Sequence[Order]) -> dict[int, MoneyFacts]:
    [read] = _readers
    moved = read([order.pk for order in orders]) if orders else {}
    return {
        order.pk: MoneyFacts(
            status=OrderStatus(order.status),
            total_minor=order.total_minor,
            moved=moved.get(order.pk) or _as_its_status_says(order),
            customer_sends=web_side_of(order).customer_sends,
        )
        for order in orders
    }


def _as_its_status_says(order: Order) -> Moved:
    """What the status says about an order without a payment here, such as an imported one."""
    if order.status not in PAID_FOR or not order.total_minor:
        return Moved()
    sent_back_minor = order.refunded_minor
    if order.status == OrderStatus.REFUNDED:
        sent_back_minor = order.total_minor
    return Moved(charged_minor=order.total_minor, charges=1, sent_back_minor=sent_back_minor)


def facts_about(order: Order) -> MoneyFacts:
    return facts_of([order])[order.pk]
