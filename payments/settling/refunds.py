"""Sending back what was asked for, once, and finding out what became of it.

The refund's own key travels with it. Before any repetition the gateway is asked whether it has a
refund of that key already, so this outlives the gateway's memory for idempotency keys.
"""

import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import F, Sum

from checkout.catalogue.money import show_money
from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import (
    CANCELLED_UNREFUNDED,
    LAPSED,
    OVERCHARGED,
    REFUND_CAME_BACK,
    REFUND_FAILED,
    SURPLUS_REASONS,
)
from checkout.orders.dispatch.call_off import call_off
from checkout.orders.history import note
from checkout.orders.invoices.issue import issue_credit_note
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.models import Mail, Order, OutboxMessage, WebhookKind
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import PAID_FOR, UNSETTLED, OrderStatus
from checkout.orders.sweep_schedule import next_sweep
from checkout.orders.transitions import transition
from checkout.orders.webhooks.enqueue import queue_webhooks
from checkout.runtime.faultpoints import fault_points
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    GatewayRefund,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    RefundRefused,
    RefundState,
)
from payments.gateways.load import Gateways
from payments.models import Payment, Refund, new_key
from payments.refunds import refundable_minor, send_all_back, unreplaced
from payments.settling.disputed_money import is_disputed, lost_minor
from payments.settling.disputes import record_disputes
from payments.settling.gateway_calls import Calls, Clock
from payments.settling.lock_order import lock_order
from payments.settling.result import Result, order_by_number
from payments.settling.retry import LONGEST_PAUSE_OF_A_REFUND, pause_after
from payments.settling.unknown_outcome import may_have_been_sent
from payments.states import UNSETTLED_REFUNDS, PaymentStatus, RefundStatus

logger = logging.getLogger(__name__)

FAILURE_REASONS = (REFUND_FAILED, REFUND_CAME_BACK)

# The failure of a refund that had succeeded before.
CAME_BACK = "came_back"


def settle_refunds(order_number: str, gateways: Gateways, *, clock: Clock) -> Result:
    """Send back what was asked for on this order, and find out what became of it."""
    order = order_by_number(order_number)
    if order.is_cancelled_and_paid and not _is_before_a_person(order):
        send_all_back(order, now=clock())
    calls = Calls.begin(gateways, clock)
    refunds = Refund.objects.filter(payment__order=order, status__in=UNSETTLED_REFUNDS)
    # What is never charged counts as given back once something is.
    refunds = refunds.exclude(payment__status=PaymentStatus.AUTHORISED)
    pauses = [_settle_refund(refund, calls) for refund in refunds.select_related("payment__order")]
    if unfinished := [pause for pause in pauses if pause is not None]:
        ask(order.pk, OutboxMessage.Kind.REFUND, at=clock() + min(unfinished))
        return Result.LATER
    return Result.REFUNDED if pauses else Result.NOTHING_TO_DO


def _is_before_a_person(order: Order) -> bool:
    return any(one.reason == CANCELLED_UNREFUNDED for one in open_reasons(order))


def _settle_refund(refund: Refund, calls: Calls) -> timedelta | None:
    """Send one refund, or find out what became of it: how long to wait if that is not known yet."""
    if refund.is_release:
        _record_release(refund, now=calls.clock())
        return None
    try:
        answer = _send_or_find(refund, calls)
    except (RefundRefused, NoSuchPayment) as error:
        if isinstance(error, NoSuchPayment) and may_have_been_sent(refund):
            return _pause_before_next_try(refund, OutcomeUnknown(error.code), now=calls.clock())
        _record_failure(refund, error.code, now=calls.clock())
        if isinstance(error, RefundRefused) and error.is_disputed:
            _look_for_disputes(refund.payment, calls)
        return None
    except (NotExecuted, OutcomeUnknown, GatewayMisconfigured) as error:
        return _pause_before_next_try(refund, error, now=calls.clock())
    if answer.state is RefundState.PENDING:
        Refund.objects.filter(pk=refund.pk, status=RefundStatus.REQUESTED).update(
            status=RefundStatus.PENDING, gateway_refund_id=answer.id
        )
        return _pause_before_next_try(refund, OutcomeUnknown("pending"), now=calls.clock())
    _record(refund, answer, now=calls.clock())
    return None


def _look_for_disputes(payment: Payment, calls: Calls) -> None:
    """The gateway refused a refund because of a dispute, and its hint may still be on its way.
    Where it does not answer now, the hint or the daily commands will tell of the dispute."""
    with suppress(GatewayError):
        record_disputes(payment, calls)


def _send_or_find(refund: Refund, calls: Calls) -> GatewayRefund:
    tried_before = refund.tries > 0
    # Counted before the call: whoever comes after a crash looks for it first.
    Refund.objects.filter(pk=refund.pk).update(tries=F("tries") + 1)
    if tried_before:
        for known in calls.refunds_of(refund.payment):
            if known.refund_key == refund.key:
                return known
    if is_disputed(refund.payment.order_id):  # since it was asked for
        raise RefundRefused("charge_disputed", is_disputed=True)
    with fault_points("refund sent"):
        return calls.refund(refund)


def _record(
    refund: Refund,
    answer: GatewayRefund,
    *,
    now: datetime,
    sources: Sequence[RefundStatus] = UNSETTLED_REFUNDS,
) -> None:
    if answer.state is RefundState.FAILED:
        _record_failure(refund, "failed_at_the_gateway", now=now)
        return
    with transaction.atomic():
        lock_order(refund.payment)
        sent = Refund.objects.filter(pk=refund.pk, status__in=sources).update(
            status=RefundStatus.SUCCEEDED, gateway_refund_id=answer.id, settled_at=now, failure=""
        )
        if sent:
            _money_moved(refund, f"{show_money(refund.amount)} was sent back", now=now)


def _record_release(refund: Refund, *, now: datetime) -> None:
    """What was never charged counts as given back. No gateway is asked."""
    with transaction.atomic():
        lock_order(refund.payment)
        given_up = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED_REFUNDS).update(
            status=RefundStatus.SUCCEEDED, settled_at=now
        )
        if given_up:
            what = f"{show_money(refund.amount)} is not charged, for what is not sent"
            if not Payment.objects.get(pk=refund.payment_id).rest_minor:
                end_reason(refund.payment.order_id, LAPSED, now=now)
            _money_moved(refund, what, now=now)


def release_rest(payment: Payment, *, now: datetime) -> None:
    """Nothing more is charged of what the bank kept, so the rest counts as given back. The order is
    locked by the caller."""
    rest = Refund.objects.create(
        payment=payment,
        status=RefundStatus.REQUESTED,
        amount_minor=payment.rest_minor,
        is_release=True,
        reason="Nothing more is sent",
        created_at=now,
    )
    Payment.objects.filter(pk=payment.pk).update(
        released_minor=F("released_minor") + rest.amount_minor
    )
    _record_release(rest, now=now)


def _record_failure(refund: Refund, code: str, *, now: datetime) -> None:
    with transaction.atomic():
        lock_order(refund.payment)
        failed = Refund.objects.filter(pk=refund.pk, status__in=UNSETTLED_REFUNDS).update(
            status=RefundStatus.FAILED, failure=code[:80], settled_at=now
        )
        if failed:
            put_before_a_person(refund.payment.order_id, REFUND_FAILED, now=now)
            _keep_watch(refund.payment.order_id, now=now)


def _money_moved(refund: Refund, what: str, *, now: datetime, came_back: bool = False) -> None:
    """Money was sent back, or has come back from there: its order follows. Customer and systems are
    told of each refund, for the second part of one order's money moves its status no more than a
    charge too many does. The order is locked by the caller."""
    mail, webhook, reason = Mail.Kind.REFUNDED, WebhookKind.REFUNDED, "Money was sent back"
    if refund.is_release:
        mail, reason = Mail.Kind.RELEASED, "Not charged, for what is not sent"
    if came_back:
        mail, webhook = Mail.Kind.REFUND_FAILED, WebhookKind.REFUND_FAILED
        reason = "A refund came back"
    event = note(refund.payment.order_id, what, now=now)
    queue_mail(mail, event, now=now, amount_minor=refund.amount_minor)
    _move_order(refund.payment, now=now, reason=reason)
    # Systems are told the order as it is now.
    queue_webhooks(webhook, event, now=now, amount_minor=refund.amount_minor)
    issue_credit_note(event, now=now)  # last: others wait for its lock


def _move_order(payment: Payment, *, now: datetime, reason: str) -> None:
    """The order's status after money was sent back, or came back from there."""
    sent = payment.refunds.filter(status=RefundStatus.SUCCEEDED)
    total: int = sent.aggregate(total=Sum("amount_minor"))["total"] or 0
    order_id = payment.order_id
    if not payment.is_surplus:
        of_the_price = max(0, total - payment.too_much_minor)
        to = OrderStatus.PARTLY_REFUNDED if of_the_price else OrderStatus.PAID
        if of_the_price >= payment.amount_minor:
            to = OrderStatus.REFUNDED
        transition(order_id, to, sources=PAID_FOR, reason=reason, now=now)
        Order.objects.filter(pk=order_id).update(refunded_minor=of_the_price)
        if to == OrderStatus.REFUNDED:
            # What is not paid for any more must not be sent, whoever sent the money back.
            call_off(payment.order, restock=False, by="", why=reason, key=f"refunded-{order_id}")
            end_reason(order_id, CANCELLED_UNREFUNDED, now=now)
    _give_up_prepared(payment)
    _end_reasons(order_id, now=now)
    _keep_watch(order_id, now=now)


def disputes_were_recorded(payment: Payment, *, now: datetime) -> None:
    """Money that a lost dispute has given back must not be sent back once more."""
    if not lost_minor(payment):
        return
    with transaction.atomic():
        lock_order(payment)
        _give_up_prepared(payment)
        if not refundable_minor(payment):
            end_reason(payment.order_id, CANCELLED_UNREFUNDED, now=now)
        _end_reasons(payment.order_id, now=now)


def _end_reasons(order_id: int, *, now: datetime) -> None:
    """Money was sent back. End the reasons to look that this has put right, over all payments."""
    reasons = {one.reason: one for one in open_reasons(Order.objects.get(pk=order_id))}
    if not reasons.keys() & {*SURPLUS_REASONS, *FAILURE_REASONS}:
        return
    paid = Payment.objects.filter(order=order_id, status=PaymentStatus.PAID)
    payments = list(paid.prefetch_related("refunds"))
    kept = {p.is_surplus for p in payments if sent_back_minor(p) < p.too_much_minor}
    for why in SURPLUS_REASONS:
        if (why != OVERCHARGED) not in kept:
            end_reason(order_id, why, now=now)
    for why in FAILURE_REASONS:
        failed = reasons.get(why)
        if failed and not any(_owes_a_refund(payment, failed.since) for payment in payments):
            end_reason(order_id, why, now=now)


def sent_back_minor(payment: Payment) -> int:
    """What the customer has again: by refunds, and by disputes that were lost."""
    refunds = [r.amount_minor for r in payment.refunds.all() if r.status == RefundStatus.SUCCEEDED]
    return sum(refunds) + lost_minor(payment)


def _owes_a_refund(payment: Payment, since: datetime | None) -> bool:
    """Whether a refund failed since then, and neither it nor all of the charge was sent since."""
    if sent_back_minor(payment) >= payment.taken_minor:
        return False
    refunds = payment.refunds.all()
    replaced = {refund.replaces_id for refund in refunds}
    return any(
        (refund.status in UNSETTLED_REFUNDS and refund.replaces_id is not None)
        or (
            refund.status == RefundStatus.FAILED
            and refund.pk not in replaced
            and refund.settled_at is not None
            and (since is None or refund.settled_at >= since)
        )
        for refund in refunds
    )


def _keep_watch(order_id: int, *, now: datetime) -> None:
    """The sweep looks after the order until no refund is on its way any more. The change of the
    order's status has ended that, for it knows nothing of refunds that were asked for meanwhile."""
    pending = Refund.objects.filter(payment__order=order_id, status__in=UNSETTLED_REFUNDS)
    order = Order.objects.filter(pk=order_id).exclude(status__in=UNSETTLED)
    if pending.exists():
        order.update(sweep_at=next_sweep(now))
    else:  # an order whose price a bank keeps is watched over until that ends
        order.filter(authorised_until=None).update(sweep_at=None)


def _pause_before_next_try(refund: Refund, error: GatewayError, *, now: datetime) -> timedelta:
    logger.info(
        "No outcome of a refund yet, will ask the gateway again",
        extra={"order": refund.payment.order.number, "reason": error.code},
    )
    gateway = refund.payment.gateway
    longest = LONGEST_PAUSE_OF_A_REFUND
    return pause_after(error, refund.tries, gateway=gateway, now=now, longest=longest)


def _believe(refund: Refund, made: GatewayRefund, *, now: datetime) -> None:
    """What the gateway says of a refund of ours that was final here. A refund may fail days after
    it succeeded, when the customer's bank returns the money."""
    if made.state is RefundState.FAILED and refund.status == RefundStatus.SUCCEEDED:
        record_came_back(refund, now=now)
    elif made.state is RefundState.SUCCEEDED and refund.status == RefundStatus.FAILED:
        _record(refund, made, now=now, sources=[RefundStatus.FAILED])


def record_came_back(refund: Refund, *, now: datetime) -> None:
    """The money is here again. A person sends it once more, by another refund."""
    payment = refund.payment
    with transaction.atomic():
        lock_order(payment)
        is_back = Refund.objects.filter(pk=refund.pk, status=RefundStatus.SUCCEEDED).update(
            status=RefundStatus.FAILED, failure=CAME_BACK, settled_at=now
        )
        if not is_back:
            return  # another worker was first
        logger.error(
            "A refund that had been sent came back; a person must look",
            extra={"order": payment.order.number, "payment": payment.gateway_payment_id},
        )
        what = f"{show_money(refund.amount)} that was sent back has come back"
        _money_moved(refund, what, now=now, came_back=True)
        put_before_a_person(payment.order_id, REFUND_CAME_BACK, now=now)


def take_over_refunds(payment: Payment, calls: Calls) -> None:
    """Make the books here and at the gateway the same: enter refunds that were made at the
    gateway's own site, and what became of ours after they were thought to be final."""
    enter_refunds(payment, calls.refunds_of(payment), now=calls.clock())


def enter_refunds(payment: Payment, told: Iterable[GatewayRefund], *, now: datetime) -> None:
    """The same for refunds that the gateway has told. Ours are read after that: each of them is
    stored before it is sent, so none that was told is missing."""
    ours = list(payment.refunds.all())
    known = {refund.key: refund for refund in ours}
    known |= {refund.gateway_refund_id: refund for refund in ours if refund.gateway_refund_id}
    for made in told:
        if refund := known.get(made.id) or known.get(made.refund_key):
            _believe(refund, made, now=now)
        elif made.state is RefundState.SUCCEEDED:
            _enter(payment, made, now=now)
    if any(refund.status == RefundStatus.PREPARED for refund in ours):
        with transaction.atomic():
            lock_order(payment)
            _give_up_prepared(payment)


def _enter(payment: Payment, made: GatewayRefund, *, now: datetime) -> None:
    """Write down a refund that was made at the gateway's own site, once."""
    with transaction.atomic():
        lock_order(payment)
        if made.refund_key and payment.refunds.filter(key=made.refund_key).exists():
            return  # asked for and sent by a worker while the gateway was asked here
        refund, is_new = Refund.objects.get_or_create(
            gateway_refund_id=made.id,
            defaults={
                "payment": payment,
                "status": RefundStatus.SUCCEEDED,
                "amount_minor": made.amount_minor,
                "reason": "Made at the gateway's own site",
                # One of this shop's that a restored backup has lost keeps its key: whoever presses
                # its button again finds it.
                "key": made.refund_key[:64] or new_key(),
                "replaces": unreplaced(payment, made.amount_minor),
                "created_at": now,
                "settled_at": now,
            },
        )
        if is_new:
            _money_moved(refund, "Money was sent back at the gateway's own site", now=now)


def _give_up_prepared(payment: Payment) -> None:
    """Refunds are prepared for what was charged too much and is still here. What went back
    otherwise is not prepared any more. The order is locked by the caller."""
    refunds = list(payment.refunds.all())
    wanted = max(0, payment.too_much_minor - sent_back_minor(payment))
    for prepared in refunds:
        if prepared.status != RefundStatus.PREPARED:
            continue
        left = min(prepared.amount_minor, wanted)
        wanted -= left
        if left != prepared.amount_minor:
            changes = {"amount_minor": left} if left else {"status": RefundStatus.FAILED}
            payment.refunds.filter(pk=prepared.pk, status=RefundStatus.PREPARED).update(**changes)
