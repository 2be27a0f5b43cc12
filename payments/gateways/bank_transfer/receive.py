"""What becomes of money that came to the shop's account: each entry of the bank's once.

What it says is for which order decides:

    the bank's reference was recorded before   nothing; the same file may be given again
    no order, or not one alone, or another     kept, until a person assigns it or sets it aside
    currency
    an order that waits for a transfer         its payment; the worker asks, and finds it paid when
                                               all of it came. A part waits for the rest, before a
                                               person; what is too much goes back by a refund
    an order that was cancelled                the same: the order is revived, or the money is a
                                               surplus
    an order that is paid already              a payment of its own, which is a surplus
    an order that is not paid, by another way  a payment of its own, which pays the order if it is
                                               the whole price

Nothing here decides about an order: each leads to a message, and the worker asks the gateway as it
asks any other.
"""

import hashlib
import logging
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from enum import Enum

from django.db import IntegrityError, transaction
from django.db.models import Max

from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import PART_CAME
from checkout.orders.history import note_staff
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.numbers import parse_order_number
from checkout.orders.outbox.enqueue import make_due, publish_again
from checkout.orders.outbox.sweep import look_soon
from checkout.orders.states import PAID_FOR
from checkout.runtime.faultpoints import fault_point
from payments.gateways.bank_transfer.client import received_minor
from payments.gateways.bank_transfer.models import (
    ExpectedTransfer,
    ReceivedTransfer,
    ReturnedTransfer,
)
from payments.models import Payment
from payments.states import PaymentStatus

logger = logging.getLogger(__name__)

GATEWAY = "bank_transfer"

# The rounds of payments that nobody waits for: no round that a customer begins takes one of theirs.
NOT_WAITED_FOR = 1000

# Customers write the number with spaces, or without its dash.
NUMBER_IN_TEXT = re.compile(r"(?<![0-9])[0-9]{6,12}[ -]{0,3}[0-9]{2}(?![0-9])")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the bank's statement, in the minor unit of its currency."""

    bank_reference: str
    booked_on: date
    amount_minor: int
    currency: str
    text: str


class Became(Enum):
    MATCHED = "for its order"
    PARTLY = "a part of what its order costs"
    MORE = "more than its order costs"
    UNASSIGNED = "for a person"
    BEFORE = "recorded before"


def recorded_before(bank_references: Iterable[str]) -> set[str]:
    """Those of these that were recorded. A bank's export of a month is read again each day."""
    known = ReceivedTransfer.objects.filter(bank_reference__in=set(bank_references))
    return set(known.values_list("bank_reference", flat=True))


def record(entry: Entry, *, by: str, now: datetime) -> Became:
    """Record one entry, once. Entries without an order are kept for a person."""
    order = _named_in(entry.text, entry.currency)
    try:
        with transaction.atomic():
            received = ReceivedTransfer.objects.create(
                bank_reference=entry.bank_reference,
                booked_on=entry.booked_on,
                amount_minor=entry.amount_minor,
                currency=entry.currency,
                text="" if order else entry.text[:300],
                recorded_at=now,
                recorded_by=by,
            )
            became = _attach(received, order, by=by, now=now) if order else Became.UNASSIGNED
            fault_point("before transfer committed")
    except IntegrityError:
        if recorded_before([entry.bank_reference]):
            return Became.BEFORE
        raise
    fault_point("after transfer committed")
    if order is None:
        logger.error("Money came that names no order of this shop; a person must look")
    return became


def assign(received: ReceivedTransfer, number: str, *, by: str, why: str, now: datetime) -> str:
    """A person says for which order the money is. Raises `ActionImpossible`."""
    order = Order.objects.filter(number=parse_order_number(number) or "").first()
    if order is None:
        raise ActionImpossible("There is no order of this number.")
    if order.currency != received.currency:
        raise ActionImpossible(f"The order is paid in {order.currency}.")
    with transaction.atomic():
        current = ReceivedTransfer.objects.select_for_update().get(pk=received.pk)
        _must_be_unassigned(current)
        note_staff(order.pk, "A bank transfer is for this order", by=by, why=why, now=now)
        became = _attach(current, order, by=by, now=now)
    return f"The money is {became.value}."


def set_aside(received: ReceivedTransfer, *, by: str, why: str, now: datetime) -> str:
    """A person says that the money is for no order, such as one that was sent back at the bank."""
    with transaction.atomic():
        current = ReceivedTransfer.objects.select_for_update().get(pk=received.pk)
        _must_be_unassigned(current)
        current.seen_to_at, current.seen_to_by, current.seen_to_how = now, by, why
        current.text = ""
        current.save()
    return "It is set aside."


def mark_sent(returned: ReturnedTransfer, bank_reference: str, *, by: str, now: datetime) -> str:
    """Staff have sent money back at the bank. The worker is asked, and tells the customer."""
    with transaction.atomic():
        unsent = ReturnedTransfer.objects.filter(pk=returned.pk, sent_at=None)
        if not unsent.update(sent_at=now, sent_by=by, bank_reference=bank_reference):
            raise ActionImpossible("Somebody has said so before; nothing was changed.")
        order = _order_of(returned.expected)
        if order is not None:
            _have_asked(order.pk, OutboxMessage.Kind.REFUND, now=now)
    return "It is noted as sent."


def _have_asked(order_id: int, kind: OutboxMessage.Kind, *, now: datetime) -> None:
    """Have the worker ask at once, also where a message waits for a later try."""
    if not publish_again(order_id, kind, now=now):
        make_due(order_id, kind, now=now)


def _must_be_unassigned(received: ReceivedTransfer) -> None:
    if received.expected_id or received.seen_to_at:
        raise ActionImpossible("Somebody was first: this money is assigned, or was set aside.")


def _named_in(text: str, currency: str) -> Order | None:
    """The one order that the text names by its number, whose last digits are a check."""
    numbers = {parse_order_number(found) for found in NUMBER_IN_TEXT.findall(text)} - {None}
    orders = list(Order.objects.filter(number__in=numbers, currency=currency)[:2])
    return orders[0] if len(orders) == 1 else None


def _attach(received: ReceivedTransfer, order: Order, *, by: str, now: datetime) -> Became:
    """Say for what the money is, and have the worker ask. The caller has a transaction open."""
    order = Order.objects.select_for_update().get(pk=order.pk)
    expected = _waits_for(order) or _not_waited_for(order, received, now=now)
    received.expected = ExpectedTransfer.objects.select_for_update().get(pk=expected.pk)
    received.text = ""
    received.save()
    came_minor = received_minor(received.expected)
    _have_asked(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, now=now)
    look_soon(order.pk, now=now)
    if came_minor < received.expected.amount_minor:
        put_before_a_person(order.pk, PART_CAME, now=now)
        return Became.PARTLY
    is_surplus = order.status in PAID_FOR or came_minor > received.expected.amount_minor
    return Became.MORE if is_surplus else Became.MATCHED


def _waits_for(order: Order) -> ExpectedTransfer | None:
    """The order's latest transfer that is not complete yet, cancelled or not."""
    ids = order.payments.filter(gateway=GATEWAY).exclude(gateway_payment_id="")
    ids = ids.exclude(status=PaymentStatus.PAID).order_by("-round")
    for payment_id in ids.values_list("gateway_payment_id", flat=True):
        expected = ExpectedTransfer.objects.get(pk=payment_id)
        if received_minor(expected) < expected.amount_minor:
            return expected
    return None


def _not_waited_for(order: Order, received: ReceivedTransfer, *, now: datetime) -> ExpectedTransfer:
    """A payment for money that nobody waits for. Of a paid order it is a surplus, whatever it is;
    an order that is not paid is paid by the whole price alone."""
    is_paid = order.status in PAID_FOR
    amount_minor = received.amount_minor if is_paid else order.total_minor
    key = f"received-{hashlib.sha256(received.bank_reference.encode()).hexdigest()[:40]}"
    identity = identity_of(order)
    expected = ExpectedTransfer.objects.create(
        payment_id=f"bank-{key}",
        key=key,
        number=identity.number,
        reference=identity.reference,
        installation=identity.installation,
        amount_minor=amount_minor,
        currency=order.currency,
        opened_at=now,
    )
    latest: int = order.payments.aggregate(latest=Max("round"))["latest"] or 0
    Payment.objects.create(
        order=order,
        gateway=GATEWAY,
        round=max(latest + 1, NOT_WAITED_FOR),
        # The shop waits for nothing of it; a check asks about what is over, and finds it charged.
        status=PaymentStatus.CANCELLED,
        amount_minor=amount_minor,
        currency=order.currency,
        payment_method="",
        installation=identity.installation,
        gateway_payment_id=expected.payment_id,
        created_at=now,
    )
    return expected


def _order_of(expected: ExpectedTransfer) -> Order | None:
    payment = Payment.objects.filter(gateway_payment_id=expected.pk).select_related("order").first()
    return payment.order if payment else None
