"""The states of an order and every move between them that is allowed."""

from typing import NamedTuple

from django.db import models


class OrderStatus(models.TextChoices):
    PLACED = "placed", "Placed, payment under way"
    ACTION_REQUIRED = "action_required", "Waiting for the customer at the bank"
    PROMISED = "promised", "Promised by the bank, the money comes in days"
    AUTHORISED = "authorised", "Set aside by the bank, charged when it is sent"
    PAYMENT_FAILED = "payment_failed", "Payment declined"
    PAID = "paid", "Paid"
    PARTLY_REFUNDED = "partly_refunded", "Partly refunded"
    REFUNDED = "refunded", "Refunded"
    CANCELLED = "cancelled", "Cancelled"


class DispatchStatus(models.TextChoices):
    """How far an order is sent; it stands beside its payment status."""

    NOT_RECORDED = "", "Not recorded"  # placed by a release that did not write down what was sent
    UNSENT = "unsent", "Nothing sent yet"
    PARTLY_SENT = "partly_sent", "Partly sent"
    SENT = "sent", "Sent"
    RETURNED = "returned", "All came back"
    CALLED_OFF = "called_off", "Called off before it was sent"
    NOTHING_TO_SEND = "nothing_to_send", "Nothing to send"


# Something may still be sent of an order in one of these states.
TO_SEND = [DispatchStatus.UNSENT, DispatchStatus.PARTLY_SENT]

# Something has left the shop of an order in one of these states.
WAS_SENT = (DispatchStatus.PARTLY_SENT, DispatchStatus.SENT, DispatchStatus.RETURNED)


class Canceller(models.TextChoices):
    """The one who had an order cancelled."""

    CUSTOMER = "customer", "Its customer"
    STAFF = "staff", "Staff"
    TIME = "time", "Not paid in time"


_S = OrderStatus

# From → to. A move that is not here does not happen.
TRANSITIONS: dict[OrderStatus, frozenset[OrderStatus]] = {
    _S.PLACED: frozenset(
        {
            *(_S.PAID, _S.ACTION_REQUIRED, _S.PROMISED, _S.AUTHORISED),
            *(_S.PAYMENT_FAILED, _S.CANCELLED),
        }
    ),
    # The customer places it once more, with another card.
    _S.ACTION_REQUIRED: frozenset(
        {
            *(_S.PLACED, _S.PAID, _S.PROMISED, _S.AUTHORISED),
            *(_S.PAYMENT_FAILED, _S.CANCELLED),
        }
    ),
    # Nobody can take the promise back any more: the bank sends the money, or says that it does not.
    _S.PROMISED: frozenset({_S.PAID, _S.PAYMENT_FAILED}),
    # The first parcel is charged; or the bank kept the money no longer; or the order is cancelled.
    _S.AUTHORISED: frozenset({_S.PAID, _S.PAYMENT_FAILED, _S.CANCELLED}),
    # The customer took another card, or the gateway said otherwise later.
    _S.PAYMENT_FAILED: frozenset({_S.PLACED, _S.PAID, _S.AUTHORISED, _S.CANCELLED}),
    # Only an order that cost nothing is cancelled.
    _S.PAID: frozenset({_S.PARTLY_REFUNDED, _S.REFUNDED, _S.CANCELLED}),
    # A refund may fail days after it succeeded, and what was sent back is here again.
    _S.PARTLY_REFUNDED: frozenset({_S.REFUNDED, _S.PAID}),
    _S.REFUNDED: frozenset({_S.PARTLY_REFUNDED, _S.PAID}),
    # A payment that arrives late revives the order, if its goods are still there.
    _S.CANCELLED: frozenset({_S.PAID}),
}


class Meaning(NamedTuple):
    """What a status alone tells of an order. What was charged is told by `money.facts`."""

    awaits_outcome: bool = False  # the worker still owes an outcome, so the sweep watches over it
    waits_for_others: bool = False  # for its customer or their bank: the shop itself is not late
    can_be_paid: bool = False  # it waits for its customer, though not for ever
    is_paid_for: bool = False  # the shop keeps money for it; refunds move it among these alone


MEANINGS = {
    _S.PLACED: Meaning(awaits_outcome=True),
    _S.ACTION_REQUIRED: Meaning(awaits_outcome=True, waits_for_others=True, can_be_paid=True),
    _S.PROMISED: Meaning(awaits_outcome=True, waits_for_others=True),
    # The warehouse sends it, and the worker charges what was sent.
    _S.AUTHORISED: Meaning(awaits_outcome=True, waits_for_others=True),
    _S.PAYMENT_FAILED: Meaning(can_be_paid=True),
    _S.PAID: Meaning(is_paid_for=True),
    _S.PARTLY_REFUNDED: Meaning(is_paid_for=True),
    _S.REFUNDED: Meaning(is_paid_for=True),
    _S.CANCELLED: Meaning(),
}

UNSETTLED = frozenset(status for status in OrderStatus if MEANINGS[status].awaits_outcome)
WAITS_FOR_OTHERS = frozenset(status for status in OrderStatus if MEANINGS[status].waits_for_others)
EXPIRING = frozenset(status for status in OrderStatus if MEANINGS[status].can_be_paid)
PAID_FOR = frozenset(status for status in OrderStatus if MEANINGS[status].is_paid_for)

# The shop has at least a part of the price, or the bank keeps the price for the shop. So what was
# ordered is owed to the customer.
SENDABLE = [OrderStatus.PAID, OrderStatus.PARTLY_REFUNDED, OrderStatus.AUTHORISED]

# A payment that succeeds after one of these came late.
LATE = [_S.PAYMENT_FAILED, _S.CANCELLED]


def sources_of(target: OrderStatus) -> list[OrderStatus]:
    return [source for source, targets in TRANSITIONS.items() if target in targets]
