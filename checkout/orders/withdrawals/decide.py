"""Staff decide about a withdrawal, each once: of two who press at once, the second is told that it
was decided. Agreeing sends money back, so it stands with the payments (`payments.withdrawals`).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime

from django.db import transaction

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import WITHDRAWN
from checkout.orders.history import note_staff
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import Mail, Order, OrderEvent, Withdrawal
from checkout.orders.numbers import parse_order_number
from checkout.orders.withdrawals.take_up import take_up

Status = Withdrawal.Status

DECIDED = "Somebody has decided about it meanwhile; nothing was added."


@contextmanager
def locked(statement: Withdrawal, *, now: datetime) -> Iterator[Withdrawal]:
    """The statement, locked after its order, as it is now, and taken up."""
    take_up(statement.pk, now=now)
    with transaction.atomic():
        order_id = Withdrawal.objects.values_list("order_id", flat=True).get(pk=statement.pk)
        if order_id is not None:
            Order.objects.select_for_update().get(pk=order_id)
        current = Withdrawal.objects.select_for_update().get(pk=statement.pk)
        if current.order_id != order_id:
            raise ActionImpossible("Its order was found meanwhile. Open the page once more.")
        yield current


def decided(
    statement: Withdrawal, status: Withdrawal.Status, *, by: str, why: str, now: datetime
) -> bool:
    """Decide within the caller's transaction. False: somebody did before, and nothing was done."""
    decision = {"status": status, "decided_at": now, "decided_by": by, "decided_why": why}
    return bool(Withdrawal.objects.filter(pk=statement.pk, status=Status.STATED).update(**decision))


def note_decision(order_id: int, what: str, *, by: str, why: str, now: datetime) -> OrderEvent:
    """The event with who and why; the order waits for nobody any more because of the withdrawal."""
    event = note_staff(order_id, what, by=by, why=why, now=now)
    end_reason(order_id, WITHDRAWN, how=what, now=now)
    return event


def refuse(statement: Withdrawal, *, by: str, why: str, now: datetime) -> str:
    """Nothing goes back. The customer reads the reason in a mail."""
    with locked(statement, now=now) as current:
        order_id = current.order_id
        if order_id is None:
            raise ActionImpossible("It belongs to no order: attach it to one first, or close it.")
        if not decided(current, Status.REFUSED, by=by, why=why, now=now):
            return DECIDED
        event = note_decision(order_id, "Withdrawal refused", by=by, why=why, now=now)
        queue_mail(Mail.Kind.WITHDRAWAL_REFUSED, event, now=now)
    return "Refused. The customer is written to, with your reason."


def close(statement: Withdrawal, *, by: str, why: str, now: datetime) -> str:
    """For a statement that no order was found for."""
    with locked(statement, now=now) as current:
        if current.order_id is not None:
            raise ActionImpossible("It belongs to an order: agree to it or refuse it.")
        if not decided(current, Status.CLOSED, by=by, why=why, now=now):
            return DECIDED
    return "Closed. Nobody is written to: the address is not known to be a customer's."


def attach(statement: Withdrawal, *, number: str, by: str, why: str, now: datetime) -> str:
    """Say which order it belongs to. The decision comes after that, as for any other."""
    order = Order.objects.filter(number=parse_order_number(number) or "").first()
    if order is None:
        raise ActionImpossible("There is no order of this number. Please look at it again.")
    take_up(statement.pk, now=now)
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)
        is_open = Withdrawal.objects.filter(status=Status.STATED)
        if is_open.filter(order=order).exclude(pk=statement.pk).exists():
            raise ActionImpossible(
                "Another statement about this order is open already: decide about that one, and "
                "close this."
            )
        if not is_open.filter(pk=statement.pk, order=None).update(order=order):
            return DECIDED
        what = "A customer's withdrawal was found to be about this order"
        note_staff(order.pk, what, by=by, why=why, now=now)
        put_before_a_person(order.pk, WITHDRAWN, now=now)
    return f"It belongs to order {order.number} now. Decide about it next."
