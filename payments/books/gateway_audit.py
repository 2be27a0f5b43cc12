"""The promises of docs/architecture.md, checked against the gateway's lists."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from checkout.orders.models import Order
from checkout.runtime.terminal import Progress
from payments.books.audit import Finding
from payments.books.compare import (
    CHARGED_NOT_PAID,
    DISPUTED_THERE,
    LOST_ORDER,
    ORPHAN,
    REFUND_THERE_ONLY,
    WRONG_AMOUNT,
    Comparison,
    Difference,
)
from payments.books.lost_orders import note_lost_payments
from payments.gateways.base import DisputeState, Gateway, NoSuchPayment, RefundState
from payments.gateways.load import Gateways
from payments.models import Payment
from payments.settling.refunds import sent_back_minor
from payments.states import PaymentStatus

ONCE = "The gateway charged no order more than once, but for what was sent back"
NONE_LOST = "Each order that names this installation at the gateway is here"
SAME = "The gateway's charges and our paid orders are the same"

# How the audit says a difference, where it says it otherwise than `reconcile_payments`.
WORDS = {
    WRONG_AMOUNT: "another payment or amount there than here",
    REFUND_THERE_ONLY: "paid here, sent back there",
}


def audit_gateway(
    gateways: Gateways, *, now: datetime, progress: Progress = lambda count: None
) -> Iterator[Finding]:
    """Compare our books with everything that the gateways opened since our first order.

    If an order was charged several times, all charges but one must have been wholly sent back
    there, and be known as surplus here.
    """
    first = Order.objects.order_by("id").values_list("placed_at", flat=True).first()
    comparison = Comparison(gateways, since=first or now, now=now, progress=progress)
    lost, charged_twice, wrong = [], [], []
    for difference in comparison.differences():
        if difference.kind == LOST_ORDER:
            lost.append(f"{difference.order} ({difference.reference}): {difference.gateway_id}")
        elif _is_second_charge(difference):
            charged_twice.append(f"{difference.order}: {difference.gateway_id}")
        elif _breaks_a_promise(gateways, difference):
            wrong.append(_row(difference))
    charged_twice += _surplus_not_sent_back(gateways)
    note_lost_payments(comparison.lost, now=now)
    found = Finding.of("I2", NONE_LOST, lost, checked=comparison.compared)
    yield replace(found, strangers=comparison.stranger_count)
    yield Finding.of("I3", ONCE, charged_twice, checked=comparison.charges)
    yield Finding.of("I4", SAME, wrong, checked=comparison.charges)


def _is_second_charge(difference: Difference) -> bool:
    return _is_unrecorded_charge(difference) and _is_charged_here(difference, is_surplus=False)


def _breaks_a_promise(gateways: Gateways, difference: Difference) -> bool:
    """A payment that is open there was not charged. A paid order without a payment is found in the
    database. Nothing is left to do about a charge that was wholly sent back, and a refund of a
    charge that is not recorded here is told by that charge."""
    if difference.kind == ORPHAN or not difference.gateway_id:
        return False
    if _is_unrecorded_charge(difference):
        return not _is_sent_back(gateways.of(difference), difference.gateway_id)
    return difference.kind != REFUND_THERE_ONLY or _is_charged_here(difference)


def _is_charged_here(difference: Difference, **which: bool) -> bool:
    paid = Payment.objects.filter(order__number=difference.order, status=PaymentStatus.PAID)
    return paid.filter(**which).exists()


def _is_unrecorded_charge(difference: Difference) -> bool:
    is_paid_here = difference.here is not None and difference.here.state == PaymentStatus.PAID
    return difference.kind in {CHARGED_NOT_PAID, WRONG_AMOUNT} and not is_paid_here


def _row(difference: Difference) -> str:
    words = WORDS.get(difference.kind, difference.kind)
    if difference.kind == DISPUTED_THERE and difference.there:
        here = difference.here.state if difference.here else "unknown"
        words = f"dispute is {difference.there.state} there, {here} here"
    return f"{difference.order}: {words}"


def _surplus_not_sent_back(gateways: Gateways) -> Iterator[str]:
    surplus = Payment.objects.filter(status=PaymentStatus.PAID, is_surplus=True)
    for payment in surplus.select_related("order").iterator():
        gateway = gateways.named(payment.gateway)
        with suppress(NoSuchPayment):  # which is a difference of its own
            if gateway is None:  # nobody else can be asked
                is_sent_back = sent_back_minor(payment) >= payment.taken_minor
            else:
                is_sent_back = _is_sent_back(gateway, payment.gateway_payment_id)
            if not is_sent_back:
                yield f"{payment.order.number}: {payment.gateway_payment_id}"


def _is_sent_back(gateway: Gateway, payment_id: str) -> bool:
    """Whether the customer has the whole charge again. The few that look wrong are asked about."""
    refunded = sum(
        refund.amount_minor
        for refund in gateway.refunds_of(payment_id)
        if refund.state is RefundState.SUCCEEDED
    )
    disputed = sum(
        dispute.amount_minor
        for dispute in gateway.disputes_of(payment_id)
        if dispute.state is DisputeState.LOST
    )
    return refunded + disputed >= gateway.retrieve(payment_id).amount_minor
