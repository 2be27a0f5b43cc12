"""What follows from a customer's statement: its order is looked for and put before a person, and a
mail acknowledges it. The mailer does this, before it asks its server for anything.
"""

import logging
from datetime import datetime

from django.db import DatabaseError, transaction
from django.utils.translation import override

from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import WITHDRAWN
from checkout.orders.history import note
from checkout.orders.mail.account import queue_account_mail
from checkout.orders.mail.address import has_address
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import AccountMail, Mail, Order, Withdrawal
from checkout.orders.numbers import parse_order_number

logger = logging.getLogger(__name__)

AT_ONCE = 100


def take_up_statements(*, now: datetime) -> int:
    """Take up those that wait; how many those were. One that cannot be taken up waits alone."""
    waiting = Withdrawal.objects.filter(taken_up_at=None).order_by("id")
    taken_up = 0
    for pk in list(waiting.values_list("pk", flat=True)[:AT_ONCE]):
        try:
            taken_up += take_up(pk, now=now)
        except DatabaseError:
            logger.warning("A withdrawal was not taken up, will try again", exc_info=True)
    return taken_up


def take_up(pk: int, *, now: datetime) -> bool:
    """Do once what follows from the statement. The order is locked first, as everywhere."""
    with transaction.atomic():
        order = _order_of(Withdrawal.objects.get(pk=pk))
        row = Withdrawal.objects.select_for_update().get(pk=pk)
        if row.taken_up_at is not None:
            return False
        row.taken_up_at = now
        if order is None:
            _acknowledge_without_an_order(row)
        else:
            _belongs_to(row, order, now=now)
        row.save(update_fields=["taken_up_at", "order", "event", "status", "decided_why"])
    return True


def _order_of(row: Withdrawal) -> Order | None:
    """The order, locked, if number and address belong together."""
    orders = Order.objects.select_for_update().filter(has_address(row.email), number=row.number)
    return orders.first()


def _belongs_to(row: Withdrawal, order: Order, *, now: datetime) -> None:
    row.order = order
    open_before = order.withdrawals.filter(status=Withdrawal.Status.STATED).first()
    if open_before is not None:
        row.status = Withdrawal.Status.CLOSED
        row.decided_why = f"Belongs to the open statement {open_before.pk}"
        what = "Its customer withdrew from the contract again"
    else:
        what = "Its customer withdrew from the contract"
    row.event = note(order.pk, what, now=row.stated_at)
    queue_mail(Mail.Kind.WITHDRAWN, row.event, now=now)
    put_before_a_person(order.pk, WITHDRAWN, now=now)


def _acknowledge_without_an_order(row: Withdrawal) -> None:
    """To the typed address, which nobody has shown to be theirs."""
    number = parse_order_number(row.number) or ""
    with override(row.language or None):
        queue_account_mail(AccountMail.Kind.WITHDRAWAL, row.email, number=number, now=row.stated_at)
