"""The states of an order and every move between them that is allowed."""

from typing import NamedTuple

from django.db import models


class OrderStatus(models.TextChoices):
    PLACED = "placed", "Placed, payment under way"
    ACTION_REQUIRED = "action_required", "Waiting for the customer at the bank"
    PAYMENT_FAILED = "payment_failed", "Payment declined"
    PAID = "paid", "Paid"
    PARTLY_REFUNDED = "partly_refunded", "Partly refunded"
    REFUNDED = "refunded", "Refunded"
    CANCELLED = "cancelled", "Cancelled"


class Canceller(models.TextChoices):
    """Who had an order cancelled."""

    CUSTOMER = "customer", "Its customer"
    STAFF = "staff", "Staff"
    TIME = "time", "Not paid in time"


# From → to. What is not here does not happen.
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    OrderStatus.PLACED: frozenset(
        {
            OrderStatus.PAID,
            OrderStatus.ACTION_REQUIRED,
            OrderStatus.PAYMENT_FAILED,
            OrderStatus.CANCELLED,
        }
    ),
    OrderStatus.ACTION_REQUIRED: frozenset(
        {
            OrderStatus.PLACED,  # with another card
            OrderStatus.PAID,
            OrderStatus.PAYMENT_FAILED,
            OrderStatus.CANCELLED,
        }
    ),
    OrderStatus.PAYMENT_FAILED: frozenset(
        {
            OrderStatus.PLACED,  # with another card
            OrderStatus.PAID,  # the gateway said otherwise later
            OrderStatus.CANCELLED,
        }
    ),
    OrderStatus.PAID: frozenset(
        {
            OrderStatus.PARTLY_REFUNDED,
            OrderStatus.REFUNDED,
            OrderStatus.CANCELLED,  # what cost nothing, and nothing else
        }
    ),
    # A refund may fail days after it succeeded, and what was sent back is here again.
    OrderStatus.PARTLY_REFUNDED: frozenset({OrderStatus.REFUNDED, OrderStatus.PAID}),
    OrderStatus.REFUNDED: frozenset({OrderStatus.PARTLY_REFUNDED, OrderStatus.PAID}),
    # A payment that arrives late revives the order, if its goods are still there.
    OrderStatus.CANCELLED: frozenset({OrderStatus.PAID}),
}


class Meaning(NamedTuple):
    """What a status alone tells of an order. What was charged is told by `money.facts`."""

    awaits_outcome: bool = False  # the worker still owes an outcome, so the sweep watches over it
    can_be_paid: bool = False  # it waits for its customer, though not for ever
    is_paid_for: bool = False  # the shop keeps money for it; refunds move it among these alone


MEANINGS = {
    OrderStatus.PLACED: Meaning(awaits_outcome=True),
    OrderStatus.ACTION_REQUIRED: Meaning(awaits_outcome=True, can_be_paid=True),
    OrderStatus.PAYMENT_FAILED: Meaning(can_be_paid=True),
    OrderStatus.PAID: Meaning(is_paid_for=True),
    OrderStatus.PARTLY_REFUNDED: Meaning(is_paid_for=True),
    OrderStatus.REFUNDED: Meaning(is_paid_for=True),
    OrderStatus.CANCELLED: Meaning(),
}

UNSETTLED = frozenset(status for status in OrderStatus if MEANINGS[status].awaits_outcome)
EXPIRING = frozenset(status for status in OrderStatus if MEANINGS[status].can_be_paid)
PAID_FOR = frozenset(status for status in OrderStatus if MEANINGS[status].is_paid_for)

# A payment that succeeds after one of these came late.
LATE = [OrderStatus.PAYMENT_FAILED, OrderStatus.CANCELLED]


def sources_of(target: OrderStatus) -> list[OrderStatus]:
    return [source for source, targets in TRANSITIONS.items() if target in targets]
