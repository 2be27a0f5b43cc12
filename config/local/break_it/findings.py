"""What the figures above 0 stand for: which purchase was ordered twice, lost or charged wrongly."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from config.local.break_it.words import counted, price_in_words
from config.local.crowd.comparison import (
    CHARGED,
    Evidence,
    one_charge_each,
    paid_if_charged,
)
from config.local.crowd.records import Charge


@dataclass(frozen=True)
class Finding:
    purchase: str  # empty: of nobody who is known
    words: str


def duplicates_in(evidence: Evidence) -> Iterator[Finding]:
    made, charged = evidence.by_purchase(), evidence.by_order()
    for purchase, orders in made.items():
        charges = sum(len(charged[order.number]) for order in orders)
        if len(orders) > 1 or charges > 1:
            words = f"{counted(len(orders), 'order')} and {counted(charges, 'charge')}"
            yield Finding(purchase, words)


def lost_orders_in(evidence: Evidence) -> Iterator[Finding]:
    made = evidence.by_purchase()
    for purchase in evidence.log.acknowledged():
        if purchase not in made:
            yield Finding(purchase, "was told of an order that is not there")


def lost_charges_in(evidence: Evidence) -> Iterator[Finding]:
    """They are lost at rest alone: until then the charge may still come."""
    charged = evidence.by_order().keys()
    told = evidence.log.acknowledged().keys()
    for purchase, orders in evidence.by_purchase().items():
        is_sure = purchase in told and evidence.plans[purchase].is_sure
        if is_sure and not any(order.number in charged or order.is_set_aside for order in orders):
            yield Finding(purchase, f"{orders[0].number} has a good card that was not charged")


def wrong_amounts_in(evidence: Evidence) -> Iterator[Finding]:
    """Charged once, and not what the order costs, or for an order that is not there."""
    made = {order.number: order for order in evidence.orders}
    charged = evidence.by_order()
    for row in one_charge_each(evidence).broken:
        number = _number_in(row)
        if len(charged[number]) > 1:
            continue
        [charge] = charged[number]
        told = f"{number}: charged {price_in_words(charge)}"
        if order := made.get(number):
            wanted = Charge(number, order.amount_minor, order.currency)
            yield Finding(order.purchase, f"{told} instead of {price_in_words(wanted)}")
        else:
            yield Finding("", f"{told}, and there is no such order")


def wrong_states_in(evidence: Evidence) -> Iterator[Finding]:
    made = {order.number: order for order in evidence.orders}
    for row in paid_if_charged(evidence).broken:
        order = made[_number_in(row)]
        was = "was not charged" if order.status in CHARGED else "was charged"
        yield Finding(order.purchase, f"{order.number} says “{order.status}” and {was}")


def _number_in(row: str) -> str:
    """A broken promise begins with the order's number."""
    found = re.match(r"[\w-]+", row)
    return found[0] if found else row
