"""Our books against the gateway's, charge by charge and refund by refund.

The gateway's lists are read once, page by page; of them only the ids stay in memory. What is still
under way on either side is no difference.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice
from typing import TypeVar

from django.db.models import Max

from checkout.orders.models import Order
from checkout.orders.numbers import parse_order_number
from payments.calls import Calls, Clock
from payments.gateways.base import (
    Gateway,
    GatewayError,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    RefundState,
)
from payments.models import Payment, Refund
from payments.outcomes import record_success
from payments.refund_settlement import take_over_refunds
from payments.states import LIVE, UNSETTLED_REFUNDS, PaymentStatus, RefundStatus

CHARGED_NOT_PAID = "charged there, not paid here"
PAID_NOT_CHARGED = "paid here, not charged there"
WRONG_AMOUNT = "another amount or currency there"
ORPHAN = "still open there, over here"
REFUND_THERE_ONLY = "sent back there, not here"
REFUND_HERE_ONLY = "sent back here, not there"
REFUND_DIFFERS = "another amount was sent back there"
NO_SUCH_ORDER = "charged there for an order that does not exist"

# A payment or refund younger than this may be on its way through the worker.
UNDER_WAY = timedelta(hours=1)

# Clocks differ, and a payment is opened there before its outcome is stored here.
MARGIN = timedelta(hours=1)

CHUNK = 200

T = TypeVar("T")

# What may still be charged without anybody here knowing.
CHARGEABLE = {GatewayState.OPEN, GatewayState.NEEDS_ACTION, GatewayState.PROCESSING}


@dataclass(frozen=True, kw_only=True)
class Difference:
    kind: str
    order: str
    gateway_id: str
    here: str = ""
    there: str = ""


def differences(gateway: Gateway, *, since: datetime, now: datetime) -> Iterator[Difference]:
    seen: set[str] = set()
    for chunk in _chunks(gateway.list_since(since - MARGIN)):
        seen.update(payment.id for payment in chunk)
        yield from _compare_payments(chunk, now)
    yield from _paid_and_never_seen(seen, since)
    yield from _compare_refunds(gateway, since, now)


def repair(
    gateway: Gateway, found: Iterable[Difference], *, clock: Clock
) -> Iterator[tuple[Difference, str]]:
    """Do what is safe about each, and say what was done; an empty word leaves it to a person."""
    for difference in found:
        try:
            yield difference, _repair_one(gateway, difference, clock)
        except GatewayError as error:
            yield difference, f"not now: {type(error).__name__}"


def _compare_payments(chunk: list[GatewayPayment], now: datetime) -> Iterator[Difference]:
    ours = {
        payment.gateway_payment_id: payment
        for payment in Payment.objects.filter(
            gateway_payment_id__in=[payment.id for payment in chunk]
        ).select_related("order")
    }
    strangers = {payment.order_number for payment in chunk if payment.id not in ours}
    orders = {order.number: order for order in Order.objects.filter(number__in=strangers)}
    for theirs in chunk:
        if payment := ours.get(theirs.id):
            yield from _compare(payment, theirs, now)
        elif order := orders.get(theirs.order_number):
            yield from _compare_unknown(order, theirs, now)
        elif theirs.state is GatewayState.PAID and parse_order_number(theirs.order_number):
            yield _difference(NO_SUCH_ORDER, theirs)


def _compare(payment: Payment, theirs: GatewayPayment, now: datetime) -> Iterator[Difference]:
    here = f"{payment.status} {payment.taken_minor} {payment.currency}"
    is_under_way = payment.status in LIVE and payment.created_at > now - UNDER_WAY
    if theirs.state is GatewayState.PAID:
        if payment.status == PaymentStatus.PAID:
            if (payment.taken_minor, payment.currency) != (theirs.amount_minor, theirs.currency):
                yield _difference(WRONG_AMOUNT, theirs, here)
        elif not is_under_way:
            yield _difference(CHARGED_NOT_PAID, theirs, here)
    elif payment.status == PaymentStatus.PAID:
        yield _difference(PAID_NOT_CHARGED, theirs, here)
    elif theirs.state in CHARGEABLE and payment.status not in LIVE:
        yield _difference(ORPHAN, theirs, here)


def _compare_unknown(order: Order, theirs: GatewayPayment, now: datetime) -> Iterator[Difference]:
    """A payment for one of our orders, under an id that we never stored."""
    being_opened = order.payments.filter(
        status__in=LIVE, gateway_payment_id="", created_at__gt=now - UNDER_WAY
    )
    if theirs.state is GatewayState.PAID:
        yield _difference(CHARGED_NOT_PAID, theirs, "unknown here")
    elif theirs.state in CHARGEABLE and not being_opened.exists():
        yield _difference(ORPHAN, theirs, "unknown here")


def _paid_and_never_seen(seen: set[str], since: datetime) -> Iterator[Difference]:
    paid = Payment.objects.filter(status=PaymentStatus.PAID, created_at__gte=since)
    for payment in paid.select_related("order").iterator(chunk_size=CHUNK):
        if payment.gateway_payment_id not in seen:
            yield Difference(
                kind=PAID_NOT_CHARGED,
                order=payment.order.number,
                gateway_id=payment.gateway_payment_id,
                here=f"{payment.status} {payment.taken_minor} {payment.currency}",
                there="unknown there",
            )


def _compare_refunds(gateway: Gateway, since: datetime, now: datetime) -> Iterator[Difference]:
    seen: set[str] = set()
    for chunk in _chunks(gateway.list_refunds_since(since - MARGIN)):
        sent = [refund for refund in chunk if refund.state is not RefundState.FAILED]
        seen.update(refund.id for refund in sent)
        yield from _compare_refund_chunk(sent, now)
    here_only = Refund.objects.filter(
        status=RefundStatus.SUCCEEDED, settled_at__gte=since
    ).select_related("payment__order")
    for refund in here_only.iterator(chunk_size=CHUNK):
        if refund.gateway_refund_id not in seen:
            yield Difference(
                kind=REFUND_HERE_ONLY,
                order=refund.payment.order.number,
                gateway_id=refund.gateway_refund_id or refund.payment.gateway_payment_id,
                here=str(refund.amount_minor),
            )


def _compare_refund_chunk(chunk: list[GatewayRefund], now: datetime) -> Iterator[Difference]:
    payments = {
        payment.gateway_payment_id: payment
        for payment in Payment.objects.filter(
            gateway_payment_id__in={refund.payment_id for refund in chunk}
        )
        .select_related("order")
        .prefetch_related("refunds")
    }
    for theirs in chunk:
        payment = payments.get(theirs.payment_id)
        if payment is None:
            continue  # of a charge that is not ours, or that is reported itself
        ours = next((r for r in payment.refunds.all() if _is_same(r, theirs)), None)
        told = Difference(
            kind=REFUND_THERE_ONLY,
            order=payment.order.number,
            gateway_id=theirs.id,
            there=str(theirs.amount_minor),
        )
        if ours is None or ours.status in {RefundStatus.FAILED, RefundStatus.PREPARED}:
            yield told
        elif ours.status in UNSETTLED_REFUNDS:
            if ours.created_at < now - UNDER_WAY:
                yield told
        elif ours.amount_minor != theirs.amount_minor:
            yield Difference(
                kind=REFUND_DIFFERS,
                order=told.order,
                gateway_id=told.gateway_id,
                here=str(ours.amount_minor),
                there=told.there,
            )


def _is_same(ours: Refund, theirs: GatewayRefund) -> bool:
    if ours.gateway_refund_id:
        return ours.gateway_refund_id == theirs.id
    return bool(theirs.refund_key) and ours.key == theirs.refund_key


def _repair_one(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    safe = {
        CHARGED_NOT_PAID: _record,
        ORPHAN: _cancel,
        REFUND_THERE_ONLY: _take_over,
    }
    act = safe.get(difference.kind)
    return act(gateway, difference, clock) if act else ""


def _cancel(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    gateway_id = difference.gateway_id
    answer = gateway.cancel(gateway_id, idempotency_key=f"reconcile-{gateway_id}")
    if answer.state is GatewayState.PAID:  # in the last moment
        return _record(gateway, difference, clock)
    return "cancelled there" if answer.state is GatewayState.CANCELLED else ""


def _record(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    """A charge for its own order, through the same door as every other."""
    theirs = gateway.retrieve(difference.gateway_id)
    if theirs.state is not GatewayState.PAID:
        return ""
    payment = Payment.objects.filter(gateway_payment_id=theirs.id).first()
    if payment is None:
        payment = _adopt(theirs, now=clock())
    recorded = record_success(payment, theirs, now=clock(), reason="Found by reconciliation")
    return "recorded" if recorded else ""


def _adopt(theirs: GatewayPayment, *, now: datetime) -> Payment:
    order = Order.objects.get(number=theirs.order_number)
    latest: int = order.payments.aggregate(latest=Max("round"))["latest"] or 0
    return Payment.objects.create(
        order=order,
        round=latest + 1,
        amount_minor=order.total_minor,
        currency=order.currency,
        payment_method="",
        status=PaymentStatus.UNKNOWN,
        gateway_payment_id=theirs.id,
        created_at=now,
    )


def _take_over(gateway: Gateway, difference: Difference, clock: Clock) -> str:
    calls = Calls.begin(gateway, clock)
    for payment in Payment.objects.filter(
        order__number=difference.order, status=PaymentStatus.PAID
    ):
        take_over_refunds(payment, calls)
    known = Refund.objects.filter(gateway_refund_id=difference.gateway_id)
    return "taken over" if known.exists() else ""


def _difference(kind: str, theirs: GatewayPayment, here: str = "") -> Difference:
    return Difference(
        kind=kind,
        order=theirs.order_number,
        gateway_id=theirs.id,
        here=here,
        there=f"{theirs.state.value} {theirs.amount_minor} {theirs.currency}",
    )


def _chunks(items: Iterable[T]) -> Iterator[list[T]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, CHUNK)):
        yield chunk
