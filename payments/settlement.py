"""Settling an order: ask the gateway until it has said what happened, and never twice for money.

For each payment round:

1. Take the lease, by the database's clock. It saves work; it does not make anything safe.
2. Make sure that no earlier round can be charged any more.
3. Open the payment at the gateway (no money moves) and store its id.
4. Confirm it. After any doubt, ask by id first.
5. Store the outcome, the order's new status and its event in one transaction.

Every call is written down before it is made, goes out under a key that was stored before it, and
is made with no transaction open. What makes a second charge impossible is the stored key, the
stored id and the guarded UPDATE; any number of workers may run this for one order at once.
"""

import logging
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.db.models.functions import Now
from django.db.transaction import TransactionManagementError

from checkout.orders.faultpoints import fault_point
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.states import UNSETTLED, OrderStatus
from checkout.orders.transitions import transition
from payments.gateways.base import (
    Gateway,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
)
from payments.models import Payment, PaymentAttempt
from payments.states import LIVE, PaymentStatus, sources_of

logger = logging.getLogger(__name__)

Clock = Callable[[], datetime]

# No call is begun later than this after the first; with the lease it bounds one settlement.
DEADLINE = timedelta(seconds=60)

LONGEST_PAUSE = timedelta(hours=1)
MISCONFIGURED_PAUSE = timedelta(minutes=1)


class UnknownOrder(Exception):
    """No order has this number: the message was not sent by this shop."""


class Settled(Enum):
    """What became of one message about an order. All but BUSY are done with it."""

    NOTHING_TO_DO = "nothing to do"
    PAID = "paid"
    DECLINED = "declined"
    NEEDS_ACTION = "needs action"
    LATER = "asked again later"
    BUSY = "another worker is at it"


@dataclass(frozen=True, kw_only=True)
class _Round:
    """One worker's hold on one payment round."""

    payment: Payment
    gateway: Gateway
    clock: Clock
    lease_token: uuid.UUID
    deadline: datetime


def settle_order(order_number: str, gateway: Gateway, *, clock: Clock) -> Settled:
    """Take the order's current payment round as far as the gateway lets it."""
    order = Order.objects.filter(number=order_number).first()
    if order is None:
        raise UnknownOrder(order_number)
    if order.status not in UNSETTLED:
        return Settled.NOTHING_TO_DO
    payment = _begin_round(order, now=clock())
    lease_token = _take_lease(payment)
    if lease_token is None:
        live = Payment.objects.filter(pk=payment.pk, status__in=LIVE).exists()
        return Settled.BUSY if live else Settled.NOTHING_TO_DO
    round_ = _Round(
        payment=payment,
        gateway=gateway,
        clock=clock,
        lease_token=lease_token,
        deadline=clock() + DEADLINE,
    )
    return _settle(round_)


def _settle(round_: _Round) -> Settled:
    try:
        for earlier in _earlier_open_rounds(round_.payment):
            answer = _close(round_, earlier)
            if answer.state is GatewayState.PAID:  # a success that came late pays the order
                return _record_late_success(round_, earlier, answer)
        answer = _charge(round_)
    except PaymentMethodRefused as error:
        return _record_decline(round_, error.code or "payment_method_refused")
    except NotExecuted as error:
        return _try_later(round_, PaymentStatus.PROCESSING, error)
    except OutcomeUnknown as error:
        return _try_later(round_, PaymentStatus.UNKNOWN, error)
    except GatewayMisconfigured as error:
        return _put_off(round_, error)
    return _record(round_, answer)


def _begin_round(order: Order, *, now: datetime) -> Payment:
    """The payment of the order's current round. Of two workers that begin it, one row remains."""
    payment, _ = Payment.objects.get_or_create(
        order=order,
        round=order.payment_round,
        defaults={
            "amount_minor": order.total_minor,
            "currency": order.currency,
            "payment_method": order.payment_method,
            "created_at": now,
        },
    )
    return payment


def _take_lease(payment: Payment) -> uuid.UUID | None:
    token = uuid.uuid4()
    free = Q(lease_until__isnull=True) | Q(lease_until__lt=Now())
    taken = Payment.objects.filter(free, pk=payment.pk, status__in=LIVE).update(
        lease_token=token,
        lease_until=Now() + timedelta(seconds=settings.PAYMENT_LEASE_SECONDS),
        status=PaymentStatus.PROCESSING,
    )
    if not taken:  # another worker has it, or it is settled
        return None
    payment.refresh_from_db()  # what the worker before us stored counts, not what we read earlier
    return token


def _earlier_open_rounds(payment: Payment) -> list[Payment]:
    return list(
        Payment.objects.filter(
            order=payment.order_id, round__lt=payment.round, closed_at__isnull=True
        ).exclude(gateway_payment_id="")
    )


def _close(round_: _Round, earlier: Payment) -> GatewayPayment:
    """Cancel an earlier round at the gateway, so that its card cannot be charged as well."""
    answer = _call(
        round_,
        earlier,
        PaymentAttempt.Step.CANCEL,
        earlier.cancel_key,
        lambda: round_.gateway.cancel(
            earlier.gateway_payment_id, idempotency_key=earlier.cancel_key
        ),
    )
    if answer.state is GatewayState.CANCELLED:
        Payment.objects.filter(pk=earlier.pk).update(closed_at=round_.clock())
    elif answer.state is not GatewayState.PAID:
        raise OutcomeUnknown(f"cancel_answered_{answer.state.value}")
    return answer


def _charge(round_: _Round) -> GatewayPayment:
    payment, gateway = round_.payment, round_.gateway
    fault_point("settlement.before_gateway")
    if payment.gateway_payment_id:
        answer = _retrieve(round_)
    else:
        opened = _call(
            round_,
            payment,
            PaymentAttempt.Step.OPEN,
            payment.open_key,
            lambda: gateway.open(
                order_number=payment.order.number,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                payment_method=payment.payment_method,
                idempotency_key=payment.open_key,
            ),
        )
        fault_point("settlement.opened")
        # Ours is the id only if none was stored: a second worker's payment stays unconfirmed.
        stored = Payment.objects.filter(pk=payment.pk, gateway_payment_id="").update(
            gateway_payment_id=opened.id
        )
        payment.refresh_from_db()
        answer = opened if stored else _retrieve(round_)
    if answer.state is GatewayState.OPEN:
        answer = _call(
            round_,
            payment,
            PaymentAttempt.Step.CONFIRM,
            payment.confirm_key,
            lambda: gateway.confirm(
                payment.gateway_payment_id, idempotency_key=payment.confirm_key
            ),
        )
        fault_point("settlement.charged")
    return answer


def _retrieve(round_: _Round) -> GatewayPayment:
    payment = round_.payment
    return _call(
        round_,
        payment,
        PaymentAttempt.Step.RETRIEVE,
        "",
        lambda: round_.gateway.retrieve(payment.gateway_payment_id),
    )


def _call(
    round_: _Round,
    payment: Payment,
    step: PaymentAttempt.Step,
    key: str,
    ask: Callable[[], GatewayPayment],
) -> GatewayPayment:
    """One call to the gateway: written down, made outside of any transaction, written down."""
    if connection.in_atomic_block:
        raise TransactionManagementError("The gateway must not be called inside a transaction.")
    if round_.clock() >= round_.deadline:
        raise NotExecuted("deadline")
    attempt = PaymentAttempt.objects.create(
        payment=payment, step=step, idempotency_key=key, started_at=round_.clock()
    )
    finished = PaymentAttempt.objects.filter(pk=attempt.pk)
    try:
        answer = ask()
    except GatewayError as error:
        finished.update(
            finished_at=round_.clock(), outcome=type(error).__name__, code=error.code[:80]
        )
        raise
    finished.update(
        finished_at=round_.clock(), outcome=answer.state.value, code=answer.decline_code[:80]
    )
    return answer


def _record(round_: _Round, answer: GatewayPayment) -> Settled:
    match answer.state:
        case GatewayState.PAID:
            return _record_success(round_, answer)
        case GatewayState.DECLINED:
            return _record_decline(round_, answer.decline_code)
        case GatewayState.CANCELLED:
            return _record_decline(round_, "cancelled", PaymentStatus.CANCELLED)
        case GatewayState.NEEDS_ACTION:
            return _record_needs_action(round_, answer)
        case GatewayState.PROCESSING | GatewayState.OPEN:
            return _try_later(round_, PaymentStatus.UNKNOWN, OutcomeUnknown(answer.state.value))


def _record_success(round_: _Round, answer: GatewayPayment) -> Settled:
    payment = round_.payment
    if (answer.amount_minor, answer.currency) != (payment.amount_minor, payment.currency):
        logger.error(
            "The gateway charged another amount than was asked; a person must look",
            extra={"order": answer.order_number, "payment": payment.gateway_payment_id},
        )
        return _put_off(round_, GatewayMisconfigured("amount_differs"))
    with transaction.atomic():
        if _move(payment, PaymentStatus.PAID, round_.clock()):
            _move_order(payment, OrderStatus.PAID, "Payment succeeded", round_.clock())
    fault_point("settlement.committed")
    return Settled.PAID


def _record_late_success(round_: _Round, earlier: Payment, answer: GatewayPayment) -> Settled:
    """The card of an earlier round was charged after all: it pays, this round is never opened."""
    with transaction.atomic():
        _move(round_.payment, PaymentStatus.CANCELLED, round_.clock())
        if _move(earlier, PaymentStatus.PAID, round_.clock()):
            _move_order(earlier, OrderStatus.PAID, "An earlier card was charged", round_.clock())
    return Settled.PAID


def _record_decline(
    round_: _Round, code: str, status: PaymentStatus = PaymentStatus.DECLINED
) -> Settled:
    payment = round_.payment
    with transaction.atomic():
        if _move(payment, status, round_.clock(), decline_code=code[:60]):
            _move_order(
                payment,
                OrderStatus.PAYMENT_FAILED,
                f"Payment not made ({code}); nothing was charged",
                round_.clock(),
            )
    fault_point("settlement.committed")
    return Settled.DECLINED


def _record_needs_action(round_: _Round, answer: GatewayPayment) -> Settled:
    payment = round_.payment
    with transaction.atomic():
        if _move(payment, PaymentStatus.NEEDS_ACTION, None, action_url=answer.action_url):
            transition(
                payment.order_id,
                OrderStatus.ACTION_REQUIRED,
                reason="The bank asks the customer to approve the payment",
                now=round_.clock(),
            )
    return Settled.NEEDS_ACTION


def _try_later(round_: _Round, status: PaymentStatus, error: GatewayError) -> Settled:
    """No outcome yet: an outbox message asks again, ever more slowly, under the same keys."""
    payment = round_.payment
    pause = min(timedelta(seconds=2 ** min(payment.tries, 12)), LONGEST_PAUSE)
    pause *= random.uniform(0.5, 1)  # noqa: S311 - jitter, so that orders do not come back at once
    if isinstance(error, NotExecuted) and error.retry_after_seconds is not None:
        pause = min(max(pause, timedelta(seconds=error.retry_after_seconds)), LONGEST_PAUSE)
    logger.info(
        "No outcome yet, will ask the gateway again",
        extra={
            "order": payment.order.number,
            "reason": error.code,
            "tries": payment.tries + 1,
            "pause_seconds": round(pause.total_seconds(), 1),
        },
    )
    return _ask_again(round_, status, pause=pause, tries=payment.tries + 1)


def _put_off(round_: _Round, error: GatewayMisconfigured) -> Settled:
    payment = round_.payment
    logger.error(
        "The gateway refuses this shop, not the customer; a person must act",
        extra={"order": payment.order.number, "reason": error.code},
    )
    return _ask_again(
        round_, PaymentStatus.PROCESSING, pause=MISCONFIGURED_PAUSE, tries=payment.tries
    )


def _ask_again(round_: _Round, status: PaymentStatus, *, pause: timedelta, tries: int) -> Settled:
    payment = round_.payment
    with transaction.atomic():
        still_ours = Payment.objects.filter(
            pk=payment.pk, lease_token=round_.lease_token, status__in=LIVE
        ).update(status=status, tries=tries, lease_token=None, lease_until=None)
        if still_ours:  # otherwise whoever took over also cares for what comes next
            OutboxMessage.objects.create(
                order_id=payment.order_id,
                kind=OutboxMessage.Kind.SETTLE_PAYMENT,
                available_at=round_.clock() + pause,
            )
    return Settled.LATER


def _move(payment: Payment, to: PaymentStatus, settled_at: datetime | None, **changes: str) -> bool:
    """The guarded UPDATE of a payment. False: another worker or a webhook has been here first."""
    return bool(
        Payment.objects.filter(pk=payment.pk, status__in=sources_of(to)).update(
            status=to, settled_at=settled_at, lease_token=None, lease_until=None, **changes
        )
    )


def _move_order(payment: Payment, to: OrderStatus, reason: str, now: datetime) -> None:
    if not transition(payment.order_id, to, reason=reason, now=now):
        logger.error(
            "A payment's outcome does not fit its order; a person must look",
            extra={"order": payment.order.number, "outcome": to.value},
        )
