"""The life of a Refund, as pure functions. Stripe API reference, "Refunds"."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime

from payments.sandbox.currencies import refuse_uncoined
from payments.sandbox.intents import Intent, metadata_of
from payments.sandbox.replies import Json, refusal, whole_number


@dataclass(frozen=True, kw_only=True)
class Refund:
    """A refund, whose fields have Stripe's own names."""

    id: str
    object: str = "refund"
    amount: int
    charge: str
    created: int
    currency: str
    metadata: dict[str, str] = field(default_factory=dict)
    payment_intent: str
    reason: str | None = None
    failure_reason: str | None = None
    status: str = "succeeded"

    def as_json(self) -> Json:
        return asdict(self)


def make_refund(
    params: dict[str, str],
    intent: Intent,
    earlier: Iterable[Refund],
    *,
    refund_id: str,
    now: datetime,
) -> Refund:
    """Refund what was charged of an intent, and never more than is left of that.

    Stripe API reference, "Create a refund": "This method will raise an error when called on an
    already-refunded charge, or when trying to refund more money than is left on a charge."
    """
    if not intent.amount_received or intent.latest_charge is None:
        message = f"This PaymentIntent ({intent.id}) does not have a successful charge to refund."
        raise refusal("payment_intent_unexpected_state", message)
    left = intent.amount_received - sum(
        refund.amount for refund in earlier if refund.status != "failed"
    )
    if left == 0:
        message = f"Charge {intent.latest_charge} has already been refunded."
        raise refusal("charge_already_refunded", message)
    amount = whole_number(params.get("amount", str(left)), "amount", least=1)
    refuse_uncoined(amount, intent.currency)
    if amount > left:
        message = "Refund amount is greater than unrefunded amount on charge."
        raise refusal("amount_too_large", message, param="amount")
    return Refund(
        id=refund_id,
        amount=amount,
        charge=intent.latest_charge,
        created=int(now.timestamp()),
        currency=intent.currency,
        metadata=metadata_of(params),
        payment_intent=intent.id,
        reason=params.get("reason"),
    )


def moved_on(refund: Refund, status: str) -> Refund:
    """Stripe docs, "Refund failures": "a refund can fail if the customer's bank or card issuer
    can't process it", after it was told as succeeded too; the money is then with the shop again."""
    allowed = {"pending": {"succeeded", "failed"}, "succeeded": {"failed", "pending"}}
    if status not in allowed.get(refund.status, ()):
        message = f"A refund that is {refund.status} does not become {status}."
        raise refusal("parameter_invalid_string_value", message)
    reason = "lost_or_stolen_card" if status == "failed" else None
    return replace(refund, status=status, failure_reason=reason)
