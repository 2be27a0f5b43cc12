"""The states of a payment and every move between them that is allowed."""

from django.db import models


class PaymentStatus(models.TextChoices):
    PENDING = "pending", "Not begun"
    PROCESSING = "processing", "At the gateway"
    UNKNOWN = "unknown", "Outcome unknown, asking"
    NEEDS_ACTION = "needs_action", "Waiting for the customer"
    PROMISED = "promised", "Promised, the money comes in days"
    AUTHORISED = "authorised", "Authorised, charged when it is sent"
    PAID = "paid", "Paid"
    DECLINED = "declined", "Declined"
    CANCELLED = "cancelled", "Cancelled"
    EXPIRED = "expired", "Expired at the gateway"


class RefundStatus(models.TextChoices):
    PREPARED = "prepared", "Prepared, a person must agree"
    REQUESTED = "requested", "Asked for"
    PENDING = "pending", "On its way"
    SUCCEEDED = "succeeded", "Sent back"
    FAILED = "failed", "Not sent back"


class CaptureStatus(models.TextChoices):
    REQUESTED = "requested", "Asked for"
    CAPTURED = "captured", "Charged"
    FAILED = "failed", "Not charged"


class DisputeStatus(models.TextChoices):
    INQUIRY = "inquiry", "The bank asks, no money was taken"
    NEEDS_RESPONSE = "needs_response", "Needs an answer"
    UNDER_REVIEW = "under_review", "Under review"
    WON = "won", "Won"
    LOST = "lost", "Lost"
    CLOSED = "closed", "Closed, no money was taken"


# While the bank holds the money, nothing may be sent back beside it.
BLOCKING_DISPUTES = [DisputeStatus.NEEDS_RESPONSE, DisputeStatus.UNDER_REVIEW]

# A person must see to these. An inquiry blocks no refund, for a refund is what ends one.
OPEN_DISPUTES = [DisputeStatus.INQUIRY, *BLOCKING_DISPUTES]

# The gateway was asked for the money, and has not told what became of it.
UNDECIDED = [PaymentStatus.PROCESSING, PaymentStatus.UNKNOWN]

# Something may still be charged of a payment in one of these states, which a bank keeps.
CAPTURABLE = [PaymentStatus.AUTHORISED, PaymentStatus.PAID]

# The worker still owes these an outcome.
UNSETTLED_REFUNDS = [RefundStatus.REQUESTED, RefundStatus.PENDING]

# Each of these takes a part of what was charged, which no other refund can have.
COUNTED_REFUNDS = [RefundStatus.PREPARED, *UNSETTLED_REFUNDS, RefundStatus.SUCCEEDED]

_S = PaymentStatus
_LIVE = frozenset(
    {
        *(_S.PENDING, _S.PROCESSING, _S.UNKNOWN, _S.NEEDS_ACTION),
        *(_S.PROMISED, _S.AUTHORISED),
    }
)
_OUTCOMES = frozenset({_S.PAID, _S.DECLINED, _S.CANCELLED, _S.EXPIRED})
_IN_BETWEEN = frozenset({_S.PROMISED, _S.AUTHORISED})

# From → to. What is not here does not happen.
TRANSITIONS: dict[PaymentStatus, frozenset[PaymentStatus]] = {
    _S.PENDING: frozenset({_S.PROCESSING, _S.CANCELLED}),
    _S.PROCESSING: _OUTCOMES | _IN_BETWEEN | {_S.UNKNOWN, _S.NEEDS_ACTION},
    _S.UNKNOWN: _OUTCOMES | _IN_BETWEEN | {_S.PROCESSING, _S.NEEDS_ACTION},
    _S.NEEDS_ACTION: _OUTCOMES | _IN_BETWEEN | {_S.PROCESSING, _S.UNKNOWN},
    # While a worker asks about it, it is PROCESSING.
    _S.PROMISED: _OUTCOMES | {_S.PROCESSING},
    # The first parcel is charged, or nothing can be any more.
    _S.AUTHORISED: frozenset({_S.PAID, _S.CANCELLED, _S.EXPIRED}),
    # A decline is final for this card. Should the gateway say otherwise later, it is believed.
    _S.DECLINED: frozenset({_S.PAID}),
    _S.PAID: frozenset(),
    # Where the gateway charged what was cancelled here, it is believed, and a person is asked.
    _S.CANCELLED: frozenset({_S.PAID}),
    _S.EXPIRED: frozenset({_S.PAID}),
}

LIVE = sorted(_LIVE)


def sources_of(target: PaymentStatus) -> list[PaymentStatus]:
    return [source for source, targets in TRANSITIONS.items() if target in targets]
