"""Payments, charges, refunds and disputes that a gateway knows of orders which are here, and that a
restored backup does not have: entered before a worker opens, charges or sends anything.

The key of a lost payment is gone with its row, so a worker would open another one and charge its
order twice. With its id stored, the worker asks about it and opens none. Nothing here changes
anything at a gateway.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import TypeVar

from django.db import transaction
from django.db.models import Max

from checkout.orders.identity.matching import could_name
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import EXPIRING, UNSETTLED, OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.transitions import transition
from payments.books.compare import CHARGEABLE, CHUNK, MARGIN
from payments.books.ownership import Ownership
from payments.capturing.record import record_authorised, record_charge
from payments.gateways.base import (
    Gateway,
    GatewayDispute,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NoSuchPayment,
    RefundState,
)
from payments.models import Payment, Refund
from payments.settling.disputes import record_dispute
from payments.settling.lock_order import lock_order
from payments.settling.refunds import disputes_were_recorded, enter_refunds
from payments.settling.request import details_of
from payments.settling.settle_order import captures_later
from payments.states import LIVE, PaymentStatus, RefundStatus

T = TypeVar("T")

REASON = "Charged in the time that a restored backup does not have"
REFUND_REASON = "Asked for in the time that a restored backup does not have"

# Their orders wait for a payment that is known here, and cannot be paid by another one.
SETTLED_OTHERWISE = {OrderStatus.PROMISED, OrderStatus.AUTHORISED}


@dataclass(frozen=True, kw_only=True)
class Taken:
    """One thing that was taken over, or would be; `problem` says why a person must look."""

    what: str
    order: str
    gateway: str
    gateway_id: str
    amount_minor: int
    currency: str
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Round:
    """What one pass over a gateway's books is told."""

    name: str
    gateway: Gateway
    since: datetime
    clock: Callable[[], datetime]
    dry_run: bool

    def taken(
        self,
        what: str,
        order: Order,
        theirs: GatewayPayment | GatewayRefund | GatewayDispute,
        problem: str = "",
    ) -> Taken:
        return Taken(
            what=what,
            order=order.number,
            gateway=self.name,
            gateway_id=theirs.id,
            amount_minor=theirs.amount_minor,
            currency=theirs.currency,
            problem=problem,
        )


def take_over_payments(asked: Round, listed: Iterable[GatewayPayment]) -> Iterator[Taken]:
    """The payments of orders that are here. The list is read as a whole: of one order's payments
    the oldest was its first round, and a gateway tells the newest first."""
    unstored: dict[int, tuple[Order, list[GatewayPayment]]] = {}
    charged: list[tuple[Payment, GatewayPayment]] = []
    for chunk in chunks(listed):
        ownership = Ownership.of(chunk)
        for theirs in chunk:
            if payment := ownership.payments.get(theirs.id):
                charged.append((payment, theirs))
            elif order := ownership.orders.get(theirs.id):
                unstored.setdefault(order.pk, (order, []))[1].insert(0, theirs)
    for order, theirs_of_order in unstored.values():
        yield from _attach(asked, order, theirs_of_order)
    for payment, theirs in reversed(charged):
        yield from _record(asked, payment, theirs)


def chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk


def _attach(asked: Round, named: Order, listed: list[GatewayPayment]) -> Iterator[Taken]:
    for theirs in listed:
        with transaction.atomic():
            order = Order.objects.select_for_update().get(pk=named.pk)
            if not _could_matter(order, theirs):
                continue
            if order.status in SETTLED_OTHERWISE and theirs.state is not GatewayState.PAID:
                problem = "its order waits for another payment: close it at the gateway's own site"
                yield asked.taken("payment that is open there", order, theirs, problem)
                continue
            payment = None if asked.dry_run else _store(asked, order, theirs)
        yield asked.taken(f"payment that is {theirs.state.value} there", order, theirs)
        if payment:
            yield from _record(asked, payment, theirs)


def _could_matter(order: Order, theirs: GatewayPayment) -> bool:
    """What was charged, or still may be. A payment that is over counts where the worker would else
    open the same round once more: its customer was told that it came to nothing."""
    if Payment.objects.filter(gateway_payment_id=theirs.id).exists():
        return False  # another run was first
    if theirs.charged_minor or theirs.state in CHARGEABLE:
        return True
    current = order.payments.filter(round=order.payment_round)
    return order.status in UNSETTLED and not current.exclude(gateway_payment_id="").exists()


def _store(asked: Round, order: Order, theirs: GatewayPayment) -> Payment:
    """The row of this payment: the order's current one if its id is not stored, or a new one. The
    order is paid by this round from then on, and the worker asks about it. The caller has locked
    the order."""
    current = order.payments.filter(round=order.payment_round).first()
    waits = order.payments.filter(gateway=asked.name, gateway_payment_id="", status__in=LIVE)
    if current and waits.filter(pk=current.pk).update(gateway_payment_id=theirs.id):
        current.refresh_from_db()
        payment = current
    else:
        latest: int = order.payments.aggregate(latest=Max("round"))["latest"] or 0
        payment = Payment.objects.create(
            order=order,
            gateway=asked.name,
            details=details_of(order, asked.gateway.abilities),
            captures_later=_is_charged_later(order, asked.gateway, theirs),
            round=latest + 1 if current else order.payment_round,
            status=PaymentStatus.UNKNOWN,
            amount_minor=order.total_minor,
            currency=order.currency,
            payment_method=order.payment_method,
            installation=theirs.order.installation,
            gateway_payment_id=theirs.id,
            created_at=asked.clock(),
        )
    _have_it_asked_about(order, payment, theirs, now=asked.clock())
    payment.order = order
    return payment


def _is_charged_later(order: Order, gateway: Gateway, theirs: GatewayPayment) -> bool:
    is_set_aside = theirs.state is GatewayState.AUTHORISED or bool(theirs.captured_minor)
    return is_set_aside or captures_later(order, gateway.abilities)


def _have_it_asked_about(
    order: Order, payment: Payment, theirs: GatewayPayment, *, now: datetime
) -> None:
    """An order that waited for its customer was paid again since, so it is under way again."""
    if order.status in EXPIRING and theirs.state in CHARGEABLE | {GatewayState.PAID}:
        transition(
            order.pk,
            OrderStatus.PLACED,
            sources=EXPIRING,
            reason="Paid again in the time that a restored backup does not have",
            now=now,
            payment_round=payment.round,
            gateway=payment.gateway,
        )
        order.refresh_from_db()
    elif order.status == OrderStatus.PLACED and payment.round > order.payment_round:
        order.payment_round, order.gateway = payment.round, payment.gateway
        order.save(update_fields=["payment_round", "gateway"])
    ask(order.pk, OutboxMessage.Kind.CHECK_PAYMENT, at=now)


def _record(asked: Round, payment: Payment, theirs: GatewayPayment) -> Iterator[Taken]:
    """Record what was charged. All else that the gateway tells, the worker asks about itself."""
    order = payment.order
    if not could_name(theirs.order, order) or theirs.charged_minor <= payment.taken_minor:
        return
    what = "charge"
    if payment.status == PaymentStatus.PAID and not payment.captures_later:
        yield asked.taken(what, order, theirs, "another amount was charged than is known here")
        return
    if order.status == OrderStatus.CANCELLED and asked.gateway.refunds_of(theirs.id):
        problem = "its order is cancelled, and some of it was sent back"
        yield asked.taken(what, order, theirs, problem)
        return
    if asked.dry_run:
        yield asked.taken(what, order, theirs)
        return
    now = asked.clock()
    if theirs.state is GatewayState.AUTHORISED:
        record_authorised(payment, theirs, now=now)
    is_recorded = record_charge(payment, theirs, now=now, reason=REASON)
    problem = "" if is_recorded else "it does not pay its order"
    yield asked.taken(what, order, theirs, problem)


def take_over_captures(asked: Round) -> Iterator[Taken]:
    """Parcels were charged since of amounts that were set aside long before, and of which no list
    since then tells."""
    kept = Payment.objects.filter(gateway=asked.name, captures_later=True)
    kept = kept.filter(order__authorised_until__isnull=False)
    for payment in kept.select_related("order"):
        try:
            theirs = asked.gateway.retrieve(payment.gateway_payment_id)
        except NoSuchPayment:
            continue  # opened in another account; the audit names it
        yield from _record(asked, payment, theirs)


def take_over_refunds(asked: Round) -> Iterator[Taken]:
    for chunk in chunks(asked.gateway.list_refunds_since(asked.since - MARGIN)):
        payments = _payments_of({refund.payment_id for refund in chunk})
        for made in reversed(chunk):
            payment = payments.get(made.payment_id)
            if payment is None or _is_known(made):
                continue
            if made.state is RefundState.SUCCEEDED and payment.status == PaymentStatus.PAID:
                if not asked.dry_run:
                    enter_refunds(payment, [made], now=asked.clock())
                yield asked.taken("refund", payment.order, made)
            elif made.state is RefundState.PENDING and made.refund_key:
                if not asked.dry_run:
                    _store_refund(payment, made, now=asked.clock())
                yield asked.taken("refund that is on its way", payment.order, made)


def _is_known(made: GatewayRefund) -> bool:
    """One that is asked for here under its key is found by the worker."""
    ours = Refund.objects.filter(gateway_refund_id=made.id)
    if made.refund_key:
        ours = ours | Refund.objects.filter(key=made.refund_key)
    return ours.exists()


def _store_refund(payment: Payment, made: GatewayRefund, *, now: datetime) -> None:
    """The worker finds out what became of it, by its key."""
    with transaction.atomic():
        lock_order(payment)
        Refund.objects.create(
            payment=payment,
            status=RefundStatus.PENDING,
            amount_minor=made.amount_minor,
            reason=REFUND_REASON,
            key=made.refund_key,
            gateway_refund_id=made.id,
            tries=1,
            created_at=now,
        )
        Order.objects.filter(pk=payment.order_id).update(sweep_at=next_sweep(now))
        ask(payment.order_id, OutboxMessage.Kind.REFUND, at=now)


def take_over_disputes(asked: Round) -> Iterator[Taken]:
    for chunk in chunks(asked.gateway.list_disputes_since(asked.since - MARGIN)):
        payments = _payments_of({dispute.payment_id for dispute in chunk})
        for theirs in reversed(chunk):
            payment = payments.get(theirs.payment_id)
            if payment is None:
                continue
            known = payment.disputes.filter(gateway_dispute_id=theirs.id)
            if known.filter(status=theirs.state.value).exists():
                continue
            if not asked.dry_run:
                record_dispute(payment, theirs, now=asked.clock())
                disputes_were_recorded(payment, now=asked.clock())
            yield asked.taken(f"dispute that is {theirs.state.value}", payment.order, theirs)


def _payments_of(ids: set[str]) -> dict[str, Payment]:
    stored = Payment.objects.filter(gateway_payment_id__in=ids).select_related("order")
    return {payment.gateway_payment_id: payment for payment in stored}
