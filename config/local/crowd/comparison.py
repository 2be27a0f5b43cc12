"""What an outsider can say of any shop: purchases that were acknowledged, held against its orders
and against what the gateway charged."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import Charge, Presses
from config.local.crowd.shoppers import Plan

CHARGED = {"paid", "partly_refunded", "refunded"}


@dataclass(frozen=True)
class Promise:
    words: str
    tried: int
    broken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Totals:
    """What every design can be measured by."""

    purchases: int  # acknowledged ones
    orders: int
    duplicate_orders: int
    lost_orders: int
    charges: int
    charges_wanted: int  # of the purchases with a good card, as the next
    charges_made: int
    double_charges: int
    lost_charges: int


@dataclass(frozen=True)
class Evidence:
    plans: dict[str, Plan]
    log: Presses
    orders: list[MadeOrder]
    charges: list[Charge]

    @classmethod
    def gather(
        cls,
        plans: Iterable[Plan],
        log: Presses,
        orders: list[MadeOrder],
        charges: list[Charge],
    ) -> "Evidence":
        by_purchase = {plan.purchase: plan for plan in plans}
        return cls(plans=by_purchase, log=log, orders=orders, charges=charges)

    def by_purchase(self) -> dict[str, list[MadeOrder]]:
        found: dict[str, list[MadeOrder]] = defaultdict(list)
        for order in self.orders:
            found[order.purchase].append(order)
        return found

    def by_order(self) -> dict[str, list[Charge]]:
        found: dict[str, list[Charge]] = defaultdict(list)
        for charge in self.charges:
            found[charge.order].append(charge)
        return found


def totals(evidence: Evidence) -> Totals:
    acknowledged = evidence.log.acknowledged()
    made, charged = evidence.by_purchase(), evidence.by_order()
    per_purchase = {
        purchase: sum(len(charged[order.number]) for order in made.get(purchase, []))
        for purchase in evidence.plans
    }
    good_cards = {plan.purchase for plan in evidence.plans.values() if plan.is_sure}
    wanted = good_cards & acknowledged.keys()
    return Totals(
        purchases=len(acknowledged),
        orders=len(evidence.orders),
        duplicate_orders=sum(len(orders) - 1 for orders in made.values()),
        lost_orders=sum(purchase not in made for purchase in acknowledged),
        charges=len(evidence.charges),
        charges_wanted=len(wanted),
        charges_made=sum(
            count for purchase, count in per_purchase.items() if purchase in good_cards
        ),
        double_charges=sum(max(0, count - 1) for count in per_purchase.values()),
        lost_charges=sum(
            per_purchase[purchase] == 0
            for purchase in wanted
            if not any(order.is_set_aside for order in made.get(purchase, []))
        ),
    )


def one_order_each(evidence: Evidence) -> Promise:
    broken = [
        f"{purchase}: {', '.join(order.number for order in orders)}"
        for purchase, orders in evidence.by_purchase().items()
        if len(orders) > 1
    ]
    pressed = len(evidence.log.presses)
    return Promise(f"One purchase, one order ({pressed} presses)", len(evidence.plans), broken)


def acknowledged_orders_are_there(evidence: Evidence) -> Promise:
    there = {(order.purchase, order.location) for order in evidence.orders}
    told = evidence.log.acknowledged()
    broken = [
        f"{purchase} was told {location}"
        for purchase, locations in told.items()
        for location in locations
        if (purchase, location) not in there
    ]
    return Promise("Every acknowledged order is there, where it was said", len(told), broken)


def one_charge_each(evidence: Evidence) -> Promise:
    orders = {order.number: order for order in evidence.orders}
    broken = []
    for number, charges in evidence.by_order().items():
        order = orders.get(number)
        right = order and Charge(number, order.amount_minor, order.currency)
        if charges != [right] and not (order and _is_charged_by_parcels(charges, order)):
            told = ", ".join(f"{charge.amount_minor} {charge.currency}" for charge in charges)
            broken.append(f"{number}: charged {told}, wanted {right}")
    return Promise("At most one charge for an order, of its amount", len(orders), broken)


def _is_charged_by_parcels(charges: list[Charge], order: MadeOrder) -> bool:
    """Whether it is one payment, of which a part may not be charged yet, or never is."""
    [charge, *others] = charges
    is_within = 0 < charge.amount_minor <= order.amount_minor
    return not others and charge.parcels > 0 and is_within and charge.currency == order.currency


def paid_if_charged(evidence: Evidence) -> Promise:
    charged = evidence.by_order().keys()
    broken = [
        f"{order.number} is {order.status}, charged: {order.number in charged}"
        for order in evidence.orders
        if (order.status in CHARGED) != (order.number in charged)
    ]
    return Promise("Paid if and only if the gateway charged", len(evidence.orders), broken)
