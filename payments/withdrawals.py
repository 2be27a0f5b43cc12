"""Agreeing to a withdrawal: what becomes of the order and its money, once, in the transaction that
stores the decision. Refusing and closing move no money; see `checkout.orders.withdrawals.decide`.
"""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from django.contrib.auth.models import User

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.cancelling import (
    can_be_cancelled,
    can_cancel_paid,
    cancel_free,
    cancel_paid,
    give_up,
)
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import Mail, Order, Withdrawal
from checkout.orders.states import UNSETTLED, Canceller, DispatchStatus, OrderStatus
from checkout.orders.withdrawals.decide import DECIDED, decided, locked, note_decision
from payments.models import Payment
from payments.refunds import refundable_minor, request_refund
from payments.states import PaymentStatus

# What agreeing may mean. Which of them there are depends on how far the order is sent and paid.
CANCEL = "cancel"
REFUND_NOW = "refund_now"
ON_RETURN = "on_return"
BY_HAND = "by_hand"

WORDS = {
    CANCEL: (
        "Agree and cancel the order: nothing was sent, so nothing will be; its goods go on sale "
        "again, and whatever was paid goes back"
    ),
    REFUND_NOW: "Agree and send back at once all that is left of its money",
    ON_RETURN: (
        "Agree, and send the money back when the goods have come in: the customer is asked to send "
        "them; the return and the refund are acts of the order's page"
    ),
    BY_HAND: (
        "Agree and do the rest by other acts of the order's page, such as a refund of some lines"
    ),
}

NOT_SENT = (DispatchStatus.UNSENT, DispatchStatus.NOTHING_TO_SEND)


class _Decision(NamedTuple):
    statement: Withdrawal
    order: Order
    person: User
    why: str
    now: datetime


def ways_to_agree(order: Order) -> list[str]:
    """Empty while the order's payment is under way: it decides first what there is to send back."""
    if order.status in UNSETTLED:
        return [CANCEL] if can_be_cancelled(order) else []
    if can_cancel_paid(order) or can_be_cancelled(order) or _is_free_and_unsent(order):
        return [CANCEL, BY_HAND]
    if _refundable(order):
        return [REFUND_NOW, ON_RETURN, BY_HAND]
    return [BY_HAND]


def _is_free_and_unsent(order: Order) -> bool:
    is_paid = order.status == OrderStatus.PAID
    return order.is_free and is_paid and order.dispatch_status in NOT_SENT


def _refundable(order: Order) -> list[tuple[Payment, int]]:
    charged = order.payments.filter(status=PaymentStatus.PAID, is_surplus=False).order_by("id")
    return [(each, left) for each in charged if (left := refundable_minor(each))]


def agree(statement: Withdrawal, way: str, *, person: User, why: str, now: datetime) -> str:
    """The second of two who agree at once is told that it was decided. Raises `ActionImpossible`
    where what should follow cannot be done, and then nothing is stored."""
    by = person.get_username()
    with locked(statement, now=now) as current:
        if current.order_id is None:
            raise ActionImpossible("It belongs to no order: attach it to one first, or close it.")
        if not decided(current, Withdrawal.Status.AGREED, by=by, why=why, now=now):
            return DECIDED
        order = Order.objects.get(pk=current.order_id)
        if way not in ways_to_agree(order):
            raise ActionImpossible(
                "The order has moved since this page was opened. Open it once more to see what can "
                "be done now."
            )
        _ACTS[way](_Decision(current, order, person, why, now))
    return "Agreed. The order's page shows what comes of it."


def _cancel(decision: _Decision) -> None:
    _, order, person, why, now = decision
    _note(decision, "its order is cancelled")
    if order.is_free:
        cancelled = cancel_free(order, reason="Its customer withdrew", now=now)
    elif can_be_cancelled(order):
        cancelled = give_up(order, now=now)
    else:
        by = person.get_username()
        cancelled = cancel_paid(order, Canceller.CUSTOMER, by=by, why=why, now=now)
    if not cancelled:
        raise ActionImpossible("The order has moved meanwhile and could not be cancelled.")


def _refund_now(decision: _Decision) -> None:
    statement, order, person, _, now = decision
    _note(decision, "all that is left of its money goes back")
    for payment, left_minor in _refundable(order):
        request_refund(
            payment,
            amount_minor=left_minor,
            reason="Its customer withdrew",
            requested_by=person,
            key=f"withdrawal-{statement.pk}-{payment.pk}",
            now=now,
        )


def _on_return(decision: _Decision) -> None:
    _note(decision, "the money goes back when the goods have come in", Mail.Kind.WITHDRAWAL_AGREED)


def _by_hand(decision: _Decision) -> None:
    _note(decision, "staff do the rest by hand")


def _note(decision: _Decision, what: str, mail: Mail.Kind | None = None) -> None:
    _, order, person, why, now = decision
    words = f"Agreed to the withdrawal; {what}"
    event = note_decision(order.pk, words, by=person.get_username(), why=why, now=now)
    if mail:
        queue_mail(mail, event, now=now)


_ACTS: dict[str, Callable[[_Decision], None]] = {
    CANCEL: _cancel,
    REFUND_NOW: _refund_now,
    ON_RETURN: _on_return,
    BY_HAND: _by_hand,
}
