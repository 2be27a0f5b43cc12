"""Does what is safe about the differences between the books. All else is left to a person."""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from django.db import transaction
from django.db.models import Max

from checkout.orders.identity.matching import could_name, orders_named
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import OrderStatus
from checkout.runtime.terminal import Progress
from payments.books.compare import (
    CHARGED_NOT_PAID,
    DISPUTED_THERE,
    ORPHAN,
    REFUND_CAME_BACK,
    REFUND_THERE_ONLY,
    Comparison,
    Difference,
    compare_one,
    differences,
    pays,
)
from payments.books.lost_orders import note_lost_payments
from payments.capturing.record import record_charge
from payments.gateways.base import GatewayError, GatewayPayment, GatewayState
from payments.gateways.load import Gateways
from payments.models import Payment, Refund
from payments.settling.close_payment import close_payment
from payments.settling.disputes import record_disputes
from payments.settling.gateway_calls import Calls, Clock
from payments.settling.refunds import disputes_were_recorded, take_over_refunds
from payments.states import LIVE, UNSETTLED_REFUNDS, PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)

# A repair may lay another difference open: a charge recorded, and its order's other card is over.
PASSES = 3


@dataclass(kw_only=True)
class Report:
    found: list[Difference]
    remaining: list[Difference]
    repairs: dict[tuple[str, str, str], str] = field(default_factory=dict)
    stranger_count: int = 0
    strangers: list[GatewayPayment] | None = None  # listed on demand: it takes memory for each


def reconcile(
    gateways: Gateways,
    *,
    since: datetime,
    clock: Clock,
    may_repair: Callable[[Report], bool],
    lists_strangers: bool = False,
    progress: Progress = lambda count: None,
) -> Report:
    """Compare, and note the lost orders; then do what is safe, if that is wanted."""
    comparison = Comparison(
        gateways, since=since, now=clock(), progress=progress, lists_strangers=lists_strangers
    )
    found = list(comparison.differences())
    note_lost_payments(comparison.lost, now=clock())
    report = Report(
        found=found,
        remaining=found,
        stranger_count=comparison.stranger_count,
        strangers=comparison.strangers,
    )
    if any(map(is_repairable, found)) and may_repair(report):
        return _repair(gateways, report, since=since, clock=clock, progress=progress)
    return report


def is_repairable(difference: Difference) -> bool:
    return difference.kind in _REPAIRS


def _repair(
    gateways: Gateways, report: Report, *, since: datetime, clock: Clock, progress: Progress
) -> Report:
    """Do what is safe about each difference, and compare again. What remains is for a person."""
    found = {difference.key: difference for difference in report.found}
    remaining, repairs = report.found, dict(report.repairs)
    for _ in range(PASSES):
        # The oldest first: of two charges for one order the first one pays it.
        untried = [d for d in reversed(remaining) if is_repairable(d) and d.key not in repairs]
        if not untried:
            break
        for difference in sorted(untried, key=lambda d: list(_REPAIRS).index(d.kind)):
            repairs[difference.key] = _repaired(gateways, difference, clock)
        remaining = list(differences(gateways, since=since, now=clock(), progress=progress))
        found |= {difference.key: difference for difference in remaining}
    return replace(report, found=list(found.values()), remaining=remaining, repairs=repairs)


def _repaired(gateways: Gateways, difference: Difference, clock: Clock) -> str:
    """What was done about the difference; an empty text leaves it to a person."""
    try:
        done = _REPAIRS[difference.kind](gateways, difference, clock)
    except GatewayError as error:
        return f"not now: {type(error).__name__}"
    if done:
        logger.info(
            "Reconciliation repaired a difference",
            extra={"order": difference.order, "payment": difference.gateway_id, "action": done},
        )
    return done


def _record(gateways: Gateways, difference: Difference, clock: Clock) -> str:
    """Record a charge for its own order, by the function that records every other one."""
    gateway = gateways.of(difference)
    theirs = gateway.retrieve(difference.gateway_id)
    order = _order_of(theirs)
    if theirs.state is not GatewayState.PAID or order is None or not pays(order, theirs):
        return ""
    if order.status == OrderStatus.CANCELLED and gateway.refunds_of(theirs.id):
        return ""  # it would revive the order, and somebody has seen to it there
    with transaction.atomic():
        order = Order.objects.select_for_update().get(pk=order.pk)
        payment = _payment_for(order, difference.gateway, theirs, now=clock())
        if payment is None or not record_charge(
            payment, theirs, now=clock(), reason="Found by reconciliation"
        ):
            return ""
    _take_over_all(payment, gateways, clock)
    return "recorded"


def _order_of(theirs: GatewayPayment) -> Order | None:
    """The order that it may pay; None where its id is stored with another than it names."""
    known = Payment.objects.filter(gateway_payment_id=theirs.id).select_related("order").first()
    if known is None:
        return orders_named([theirs.order]).first()
    return known.order if could_name(theirs.order, known.order) else None


def _payment_for(
    order: Order, gateway: str, theirs: GatewayPayment, *, now: datetime
) -> Payment | None:
    """The row of this charge: its own, the order's current one if that has no id, or a new one."""
    known = Payment.objects.filter(gateway_payment_id=theirs.id).first()
    if known is not None:
        return known if known.order_id == order.pk else None
    new = {
        "gateway": gateway,
        "amount_minor": order.total_minor,
        "currency": order.currency,
        "payment_method": order.payment_method,
        "installation": theirs.order.installation,
        "status": PaymentStatus.UNKNOWN,
        "created_at": now,
    }
    # The worker looks for this round's payment too, and must not begin another one beside it.
    current, _ = Payment.objects.get_or_create(order=order, round=order.payment_round, defaults=new)
    attached = Payment.objects.filter(
        pk=current.pk, gateway=gateway, gateway_payment_id="", status__in=LIVE
    ).update(gateway_payment_id=theirs.id)
    if attached:
        current.refresh_from_db()
        return current
    latest: int = order.payments.aggregate(latest=Max("round"))["latest"]
    return Payment.objects.create(
        order=order, round=latest + 1, gateway_payment_id=theirs.id, **new
    )


def _cancel(gateways: Gateways, difference: Difference, clock: Clock) -> str:
    gateway, gateway_id = gateways.of(difference), difference.gateway_id
    # Somebody may have thought about the question for long.
    if not any(d.kind == ORPHAN for d in compare_one(gateway, gateway_id, clock())):
        return ""
    payment = Payment.objects.filter(gateway_payment_id=gateway_id).first()
    if payment is not None:
        answer = close_payment(Calls.begin(gateways, clock), payment)
    else:
        answer = gateway.cancel(gateway_id, idempotency_key=f"reconcile-{gateway_id}")
    if answer.state is GatewayState.PAID:  # at the last moment
        return _record(gateways, difference, clock)
    return "cancelled there" if answer.state is GatewayState.CANCELLED else ""


def _take_over(gateways: Gateways, difference: Difference, clock: Clock) -> str:
    for payment in Payment.objects.filter(
        order__number=difference.order, status=PaymentStatus.PAID
    ):
        _take_over_all(payment, gateways, clock)
    if found := Refund.objects.filter(gateway_refund_id=difference.gateway_id).first():
        return "noted" if found.status == RefundStatus.FAILED else "taken over"
    return _hand_to_the_worker(difference, now=clock())


def _take_over_all(payment: Payment, gateways: Gateways, clock: Clock) -> None:
    payment.refresh_from_db()
    take_over_refunds(payment, Calls.begin(gateways, clock))


def _note_disputes(gateways: Gateways, difference: Difference, clock: Clock) -> str:
    payment = Payment.objects.select_related("order").get(gateway_payment_id=difference.gateway_id)
    record_disputes(payment, Calls.begin(gateways, clock))
    disputes_were_recorded(payment, now=clock())
    return "noted"


def _hand_to_the_worker(difference: Difference, *, now: datetime) -> str:
    """A refund was sent back there and not noted here: the worker finds it by its key."""
    sent_before = Refund.objects.filter(
        payment__order__number=difference.order, status__in=UNSETTLED_REFUNDS, tries__gt=0
    )
    order = Order.objects.filter(payments__refunds__in=sent_before).first()
    if order is None:
        return ""
    waiting = order.outbox_messages.filter(kind=OutboxMessage.Kind.REFUND, published_at=None)
    if not waiting.exists():
        ask(order.pk, OutboxMessage.Kind.REFUND, at=now)
    return "handed to the worker"


# The repairs that are safe, in the order in which they are made.
_REPAIRS: dict[str, Callable[[Gateways, Difference, Clock], str]] = {
    CHARGED_NOT_PAID: _record,
    ORPHAN: _cancel,
    REFUND_THERE_ONLY: _take_over,
    REFUND_CAME_BACK: _take_over,
    DISPUTED_THERE: _note_disputes,
}
