"""What an outsider can say of any shop: purchases that were acknowledged, held against its orders
and against what the gateway charged."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import Charge, PostLog
from config.local.crowd.shoppers import Plan


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
    log: PostLog
    orders: list[MadeOrder]
    charges: list[Charge]

    @classmethod
    def gather(
        cls,
        plans: Iterable[Plan],
        log: PostLog,
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
