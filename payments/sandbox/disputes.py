"""The life of a Dispute, as pure functions. Stripe API reference, "The Dispute object".

Stripe docs, "Testing", Disputes: which cards are disputed, and which evidence wins.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from payments.sandbox.intents import Intent
from payments.sandbox.replies import Json, refusal

# Stripe docs, "How disputes work": a shop has 7 to 21 days to answer, by the card's network.
TIME_TO_ANSWER = timedelta(days=7)

# An inquiry takes no money, and a refund may answer it. Stripe docs, "How disputes work".
INQUIRY = "warning_needs_response"
OPEN = {"needs_response", "under_review"}
ANSWERS = {"winning_evidence": "won", "losing_evidence": "lost"}


@dataclass(frozen=True, kw_only=True)
class Dispute:
    """A dispute, whose fields have Stripe's own names."""

    id: str
    object: str = "dispute"
    amount: int
    charge: str
    created: int
    currency: str
    evidence_details: dict[str, Any] = field(default_factory=dict)
    is_charge_refundable: bool = False
    livemode: bool = False
    metadata: dict[str, str] = field(default_factory=dict)
    payment_intent: str
    reason: str
    status: str

    def as_json(self) -> Json:
        return asdict(self)


def open_dispute(
    intent: Intent,
    *,
    dispute_id: str,
    now: datetime,
    is_inquiry: bool = False,
    amount: int | None = None,
    reason: str = "fraudulent",
) -> Dispute:
    if intent.status != "succeeded" or intent.latest_charge is None:
        message = f"This PaymentIntent ({intent.id}) has no charge to dispute."
        raise refusal("payment_intent_unexpected_state", message)
    due_by = int((now + TIME_TO_ANSWER).timestamp())
    return Dispute(
        id=dispute_id,
        amount=intent.amount_received if amount is None else amount,
        charge=intent.latest_charge,
        created=int(now.timestamp()),
        currency=intent.currency,
        evidence_details={"due_by": due_by, "has_evidence": False, "submission_count": 0},
        is_charge_refundable=is_inquiry,
        payment_intent=intent.id,
        reason=reason,
        status=INQUIRY if is_inquiry else "needs_response",
    )


def answered(dispute: Dispute, params: dict[str, str]) -> Dispute:
    """Take the shop's evidence. In a test the evidence itself says what the bank decides."""
    text = params.get("evidence[uncategorized_text]", "")
    details = dispute.evidence_details | {"has_evidence": True, "submission_count": 1}
    status = ANSWERS.get(text, "under_review")
    if dispute.status == INQUIRY:
        status = "warning_closed" if status == "won" else "warning_under_review"
    return replace(dispute, status=status, evidence_details=details)


def accepted(dispute: Dispute) -> Dispute:
    """The dispute is lost, for good. Stripe API reference, "Close a dispute"."""
    return replace(dispute, status="lost")


def refuse_refund_of_disputed(disputes: Iterable[Dispute]) -> None:
    """Refuses to refund what a bank has taken. Stripe docs, "Error codes", `charge_disputed`."""
    if any(dispute.status in OPEN | {"lost"} for dispute in disputes):
        message = "This charge has been charged back, so it cannot be refunded."
        raise refusal("charge_disputed", message)
