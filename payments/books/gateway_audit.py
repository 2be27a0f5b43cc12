"""Our books held against what others keep: the gateway's list and the queue.

Read in chunks and in one pass, so that an audit takes the same memory for a thousand orders and
for a million: what is remembered is what is wrong, and one byte for each payment of ours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Exists, Max, Min, OuterRef, QuerySet
from django.db.models.functions import Now

from checkout.orders.models import Order, OutboxMessage
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.states import UNSETTLED, OrderStatus
from checkout.runtime.terminal import Progress
from payments.books.audit import PAID_STATUSES, Finding
from payments.books.lost_orders import not_seen_to, note_lost_payments
from payments.books.ours import Ours
from payments.gateways.base import (
    DisputeState,
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayState,
    RefundState,
)
from payments.models import Payment, Refund
from payments.states import PaymentStatus, RefundStatus

CHUNK = 500

# A message that was published so long ago is in the queue, or was.
PUBLISHED_AGO = timedelta(minutes=1)

# A hint of a dispute is handled by then.
DISPUTE_TOLD_AFTER = timedelta(hours=1)

ONCE = "The gateway charged no order more than once, but for what was sent back"
NONE_LOST = "Each order that names this installation at the gateway is here"
SAME = "The gateway's charges and our paid orders are the same"

One = TypeVar("One")


def audit_gateway(
    gateway: Gateway, *, now: datetime, progress: Progress | None = None
) -> Iterator[Finding]:
    """Hold our books against the gateway's list of everything it opened since our first order.

    Of several charges for one order all but one must have been wholly sent back there, and be known
    as surplus here. What is still under way at either side is left out: the two are compared where
    both are final.
    """
    comparison = _Comparison(gateway, now)
    first = Order.objects.order_by("id").values_list("placed_at", flat=True).first()
    since = (first or now) - timedelta(minutes=5)
    for payments in _chunks(gateway.list_since(since)):
        comparison.look_at(payments)
        if progress:
            progress(comparison.charges)
    for refunds in _chunks(gateway.list_refunds_since(since)):
        succeeded = [r.payment_id for r in refunds if r.state is RefundState.SUCCEEDED]
        comparison.look_at_refunds(succeeded)
        comparison.look_at_failures([r.id for r in refunds if r.state is RefundState.FAILED])
    for disputes in _chunks(gateway.list_disputes_since(since)):
        comparison.look_at_disputes(disputes)
    comparison.look_for_the_unseen()
    note_lost_payments(comparison.lost, now=now)
    lost = [f"{one.order.number} ({one.order.reference}): {one.id}" for one in comparison.lost]
    found = Finding.of("I2", NONE_LOST, lost, checked=comparison.compared)
    yield replace(found, strangers=comparison.strangers)
    yield Finding.of("I3", ONCE, comparison.charged_twice, checked=comparison.charges)
    yield Finding.of("I4", SAME, comparison.differences, checked=comparison.charges)


def audit_queue(queue: PaymentsQueue, *, now: datetime) -> Finding:
    """Each order whose message was published, and to which nothing has come of it, still has it in
    the queue or in the dead-letter queue. The counts are SQS's approximate ones."""
    messages = OutboxMessage.objects.filter(order=OuterRef("pk"))
    leased = Payment.objects.filter(order=OuterRef("pk"), lease_until__gte=Now())
    waiting = Order.objects.filter(
        Exists(messages.filter(published_at__lt=now - PUBLISHED_AGO)),
        ~Exists(messages.filter(published_at=None)),
        ~Exists(leased),
        status=OrderStatus.PLACED,
    ).count()
    there = queue.count_messages()
    gone = max(0, waiting - there)
    rows = [f"{waiting} orders wait for one, {there} messages are there"] if gone else []
    promise = "No message is gone before its order has an outcome"
    return Finding("I9", promise, checked=waiting, count=gone, rows=rows)


class _Comparison:
    """One pass over the gateway's list, and what it brought to light."""

    def __init__(self, gateway: Gateway, now: datetime) -> None:
        self.compared = 0
        self.strangers = 0
        self.charges = 0
        self.lost: list[GatewayPayment] = []
        self.charged_twice: list[str] = []
        self.differences: list[str] = []
        self._gateway = gateway
        self._now = now
        span = Payment.objects.aggregate(first=Min("pk"), last=Max("pk"))
        self._first = span["first"] or 0
        self._seen = bytearray((span["last"] or 0) - self._first + 1)

    def look_at(self, payments: list[GatewayPayment]) -> None:
        ours = Ours.among(payments)
        self.compared += len(payments) - len(ours.strangers)
        self.strangers += len(ours.strangers)
        self.lost += not_seen_to(ours.lost)
        not_here = {payment.id for payment in (*ours.lost, *ours.strangers)}
        self._look_at_charges(
            [
                payment
                for payment in payments
                if payment.state is GatewayState.PAID and payment.id not in not_here
            ],
            ours,
        )

    def _look_at_charges(self, charges: list[GatewayPayment], ours: Ours) -> None:
        self.charges += len(charges)
        paid = {id_: one for id_, one in ours.payments.items() if one.status == PaymentStatus.PAID}
        orders = {id_: one.order for id_, one in ours.payments.items()} | ours.orders
        unrecorded = [charge for charge in charges if charge.id not in paid]
        their_orders = {orders[charge.id].pk for charge in unrecorded}
        paid_otherwise = set(
            _price_paid().filter(order__in=their_orders).values_list("order_id", flat=True)
            if their_orders
            else ()
        )
        for charge in charges:
            if charge.id in paid:
                self._compare(charge, paid[charge.id])
        for charge in unrecorded:
            order = orders[charge.id]
            if order.pk in paid_otherwise:
                self.charged_twice.append(f"{order.number}: {charge.id}")
            # An unsettled order's worker is still on its way to recording it.
            elif order.status not in UNSETTLED and not self._is_sent_back(charge.id):
                self.differences.append(f"{order.number}: charged there, not paid here")

    def _compare(self, charge: GatewayPayment, ours: Payment) -> None:
        if ours.is_surplus:
            if not self._is_sent_back(charge.id):
                self.charged_twice.append(f"{ours.order.number}: {charge.id}")
            return
        if ours.pk - self._first < len(self._seen):  # otherwise it is younger than this pass
            self._seen[ours.pk - self._first] = True
        if self._is_too_young(ours):
            return
        if (charge.amount_minor, charge.currency) != (ours.taken_minor, ours.currency):
            self.differences.append(
                f"{charge.order.number}: another payment or amount there than here"
            )

    def look_at_refunds(self, payment_ids: list[str]) -> None:
        """A charge that was sent back there, wholly, while the order says that it is paid."""
        paid = _price_paid().filter(
            gateway_payment_id__in=payment_ids, order__status__in=PAID_STATUSES
        )
        for payment in paid.select_related("order"):
            if not self._is_too_young(payment) and self._is_sent_back(payment.gateway_payment_id):
                self.differences.append(f"{payment.order.number}: paid here, sent back there")

    def look_at_failures(self, refund_ids: list[str]) -> None:
        """A refund that is told here as sent, and came back there."""
        sent = Refund.objects.filter(
            gateway_refund_id__in=refund_ids, status=RefundStatus.SUCCEEDED
        )
        for refund in sent.exclude(settled_at__gte=self._now).select_related("payment__order"):
            number = refund.payment.order.number
            self.differences.append(f"{number}: sent back here, came back there")

    def look_at_disputes(self, disputes: list[GatewayDispute]) -> None:
        """Each dispute of a charge of ours is known here as it stands there. One that was opened
        just now is being told."""
        ids = [dispute.payment_id for dispute in disputes]
        payments = {
            payment.gateway_payment_id: payment
            for payment in Payment.objects.filter(gateway_payment_id__in=ids)
            .select_related("order")
            .prefetch_related("disputes")
        }
        for told in disputes:
            if told.payment_id not in payments or told.opened_at >= self._now - DISPUTE_TOLD_AFTER:
                continue
            payment = payments[told.payment_id]
            known = {one.gateway_dispute_id: one.status for one in payment.disputes.all()}
            if (here := known.get(told.id, "unknown")) != told.state.value:
                number = payment.order.number
                self.differences.append(
                    f"{number}: dispute is {told.state.value} there, {here} here"
                )

    def look_for_the_unseen(self) -> None:
        last = 0
        ours = _price_paid().filter(order__status__in=PAID_STATUSES).select_related("order")
        while chunk := list(ours.filter(pk__gt=last).order_by("pk")[:CHUNK]):
            last = chunk[-1].pk
            for payment in chunk:
                seen = payment.pk - self._first >= len(self._seen)
                seen = seen or bool(self._seen[payment.pk - self._first])
                if not seen and not self._is_too_young(payment):
                    self.differences.append(f"{payment.order.number}: paid here, not charged there")

    def _is_too_young(self, payment: Payment) -> bool:
        """Settled after the gateway's list was read."""
        return payment.settled_at is not None and payment.settled_at >= self._now

    def _is_sent_back(self, payment_id: str) -> bool:
        """Asked for the few charges that look wrong."""
        sent = sum(
            refund.amount_minor
            for refund in self._gateway.refunds_of(payment_id)
            if refund.state is RefundState.SUCCEEDED
        )
        lost = sum(
            dispute.amount_minor
            for dispute in self._gateway.disputes_of(payment_id)
            if dispute.state is DisputeState.LOST
        )
        return sent + lost >= self._gateway.retrieve(payment_id).amount_minor


def _price_paid() -> QuerySet[Payment]:
    return Payment.objects.filter(status=PaymentStatus.PAID, is_surplus=False)


def _chunks(all_of_them: Iterable[One]) -> Iterator[list[One]]:
    them = iter(all_of_them)
    while chunk := list(islice(them, CHUNK)):
        yield chunk
