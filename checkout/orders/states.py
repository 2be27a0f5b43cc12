"""The states of an order and every move between them that is allowed."""

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
    """The one who had an order cancelled."""

    CUSTOMER = "customer", "Its customer"
    STAFF = "staff", "Staff"
    TIME = "time", "Not paid in time"


# From → to. A move that is not here does not happen.
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
            OrderStatus.CANCELLED,  # only an order that cost nothing
        }
    ),
    # A refund may fail days after it succeeded, and what was sent back is here again.
    OrderStatus.PARTLY_REFUNDED: frozenset({OrderStatus.REFUNDED, OrderStatus.PAID}),
    OrderStatus.REFUNDED: frozenset({OrderStatus.PARTLY_REFUNDED, OrderStatus.PAID}),
    # A payment that arrives late revives the order, if its goods are still there.
    OrderStatus.CANCELLED: frozenset({OrderStatus.PAID}),
}

# The worker still owes these orders an outcome, so the sweep watches over them.
UNSETTLED = frozenset({OrderStatus.PLACED, OrderStatus.ACTION_REQUIRED})

# These orders wait for the customer, and are cancelled when the wait is too long.
EXPIRING = frozenset({OrderStatus.ACTION_REQUIRED, OrderStatus.PAYMENT_FAILED})

# The order was paid, and the status says how much was sent back. Refunds move it among these alone.
REFUNDING = frozenset({OrderStatus.PAID, OrderStatus.PARTLY_REFUNDED, OrderStatus.REFUNDED})


def sources_of(target: OrderStatus) -> list[OrderStatus]:
    return [source for source, targets in TRANSITIONS.items() if target in targets]
