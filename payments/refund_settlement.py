"""Sending back what was asked for, once, and finding out what became of it.

The refund's own key travels with it. Before any repetition the gateway is asked whether it has a
refund of that key already, so this outlives the gateway's memory for idempotency keys.
"""

import logging
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Sum

from checkout.catalogue.templatetags.money import show_money
from checkout.orders.faultpoints import fault_points
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import UNSETTLED, OrderStatus
from checkout.orders.transitions import (
    next_sweep,
    noting_refund,
    put_before_a_person,
    resolved,
    transition,
)
from payments.calls import Calls, Clock
from payments.doubt import may_have_been_sent
from payments.gateways.base import (
    Gateway,
    GatewayError,
    GatewayMisconfigured,
    GatewayRefund,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    RefundRefused,
    RefundState,
)
from payments.later import LONGEST_PAUSE_OF_A_REFUND, ask_later, pause_after
from payments.locks import lock_order
from payments.models import Payment, Refund
from payments.outcomes import SURPLUS_REASONS
from payments.settlement import Settled, find_order
from payments.states import UNSETTLED_REFUNDS, RefundStatus

logger = logging.getLogger(__name__)

REFUND_FAILED = "A refund was not made; the gateway says why"


def settle_refunds(order_number: str, gateway: Gateway, *, clock: Clock) -> Settled:
    """Send back what was asked for on this order, and find out what became of it."""
    order = find_order(order_number)
    open_refunds = Refund.objects.filter(payment__order=order, status__in=UNSETTLED_REFUNDS)
    calls = Calls.begin(gateway, clock)
    outcome, unfinished = Settled.NOTHING_TO_DO, []
    for refund in open_refunds.select_related("payment__order"):
        try:
            answer = _send_or_find(refund, calls)
        except (RefundRefused, NoSuchPayment) as error:
            if isinstance(error, NoSuchPayment) and may_have_been_sent(refund):
                unfinished.append(_pause_before_next_try(refund, OutcomeUnknown(error.code)))
                continue
            _record_failure(refund, error.code, now=clock())
            outcome = Settled.REFUNDED
        except (NotExecuted, OutcomeUnknown, GatewayMisconfigured) as error:
            unfinished.append(_pause_before_next_try(refund, error))
        else:
            if answer.state is RefundState.PENDING:
                Refund.objects.filter(pk=refund.pk, status=RefundStatus.REQUESTED).update(
                    status=RefundStatus.PENDING, gateway_refund_id=answer.id
                )
                unfinished.append(_pause_before_next_try(refund, OutcomeUnknown("pending")))
                continue
            _record(refund, answer, now=clock())
            outcome = Settled.REFUNDED
    if unfinished:
        ask_later(order.pk, OutboxMessage.Kind.REFUND, pause=min(unfinished), now=clock())
        return Settled.LATER
    return outcome


def _send_or_find(refund: Refund, calls: Calls) -> GatewayRefund:
    tried_before = refund.tries > 0
    # Counted before the call: whoever comes after a crash looks for it first.
    Refund.objects.filter(pk=refund.pk).update(tries=F("tries") + 1)
    if tried_before:
        for known in calls.refunds_of(refund.payment):
            if known.refund_key == refund.key:
                return known
    with fault_points("refund sent"):
        return calls.refund(refund)


def _record(refund: Refund, answer: GatewayRefund, *, now: datetime) -> None:
    if answer.state is RefundState.FAILED:
        _record_failure(refund, "failed_at_the_gateway", now=now)
        return
    with transaction.atomic():
        lock_order(refund.payment)
        sent = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED_REFUNDS).update(
            status=RefundStatus.SUCCEEDED, gateway_refund_id=answer.id, settled_at=now
        )
        if sent:
            with noting_refund(
                refund.payment.order_id,
                f"{show_money(refund.amount)} was sent back",
                amount_minor=refund.amount_minor,
                now=now,
            ):
                _follow(refund.payment, now=now)


def _record_failure(refund: Refund, code: str, *, now: datetime) -> None:
    with transaction.atomic():
        lock_order(refund.payment)
        failed = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED_REFUNDS).update(
            status=RefundStatus.FAILED, failure=code[:80], settled_at=now
        )
        if failed:
            put_before_a_person(refund.payment.order_id, REFUND_FAILED, now=now)
            _keep_watch(refund.payment.order_id, now=now)


def _follow(payment: Payment, *, now: datetime) -> None:
    """The order's status after money was sent back."""
    sent = payment.refunds.filter(status=RefundStatus.SUCCEEDED)
    total: int = sent.aggregate(total=Sum("amount_minor"))["total"] or 0
    order_id = payment.order_id
    if payment.is_surplus:
        if total >= payment.taken_minor:
            _resolve_surplus(order_id)
    else:
        overcharged = payment.taken_minor - payment.amount_minor
        of_the_price = max(0, total - overcharged)
        if total >= overcharged > 0:
            _resolve_surplus(order_id)
        if of_the_price:
            to = (
                OrderStatus.REFUNDED
                if of_the_price >= payment.amount_minor
                else OrderStatus.PARTLY_REFUNDED
            )
            transition(order_id, to, reason="Money was sent back", now=now)
            Order.objects.filter(pk=order_id).update(refunded_minor=of_the_price)
    _keep_watch(order_id, now=now)


def _resolve_surplus(order_id: int) -> None:
    for why in SURPLUS_REASONS:
        resolved(order_id, why)


def _keep_watch(order_id: int, *, now: datetime) -> None:
    """Until nothing is on its way any more, the sweep looks after it. A change of the order's
    status has ended that, for it knows nothing of a refund that was asked for meanwhile."""
    pending = Refund.objects.filter(payment__order=order_id, status__in=UNSETTLED_REFUNDS)
    Order.objects.filter(pk=order_id).exclude(status__in=UNSETTLED).update(
        sweep_at=next_sweep(now) if pending.exists() else None
    )


def _pause_before_next_try(refund: Refund, error: GatewayError) -> timedelta:
    logger.info(
        "No outcome of a refund yet, will ask the gateway again",
        extra={"order": refund.payment.order.number, "reason": error.code},
    )
    return pause_after(error, refund.tries, longest=LONGEST_PAUSE_OF_A_REFUND)


def take_over_refunds(payment: Payment, calls: Calls) -> None:
    """Enter refunds that were made at the gateway's own site, so that both books are the same."""
    keys = set(payment.refunds.values_list("key", flat=True))
    ids = set(payment.refunds.values_list("gateway_refund_id", flat=True))
    for made in calls.refunds_of(payment):
        is_ours = made.refund_key in keys or made.id in ids
        if is_ours or made.state is not RefundState.SUCCEEDED:
            continue
        now = calls.clock()
        with transaction.atomic():
            lock_order(payment)
            _, is_new = Refund.objects.get_or_create(
                gateway_refund_id=made.id,
                defaults={
                    "payment": payment,
                    "status": RefundStatus.SUCCEEDED,
                    "amount_minor": made.amount_minor,
                    "reason": "Made at the gateway's own site",
                    "created_at": now,
                    "settled_at": now,
                },
            )
            if is_new:
                with noting_refund(
                    payment.order_id,
                    "Money was sent back at the gateway's own site",
                    amount_minor=made.amount_minor,
                    now=now,
                ):
                    _follow(payment, now=now)
