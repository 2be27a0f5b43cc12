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
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection, transaction

from checkout.orders.attention.flags import end_reason, put_before_a_person
from checkout.orders.attention.reasons import REFUSED, UNKNOWN_TOO_LONG
from checkout.orders.identity.installation import installation_id
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.enqueue import ask
from checkout.orders.states import UNSETTLED, DispatchStatus, OrderStatus
from checkout.orders.transitions import pay_with_nothing
from checkout.runtime.database import columns_of, row_of
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.process_name import process_name
from payments.capturing.capture import settle_captures
from payments.capturing.record import record_authorised, record_charge
from payments.gateways.base import (
    Abilities,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentMethodRefused,
    PaymentRefused,
)
from payments.gateways.load import NOT_CONFIGURED, Gateways
from payments.models import Payment
from payments.settling.close_payment import close_payment
from payments.settling.gateway_calls import Calls, Clock, Step
from payments.settling.leases import take_lease
from payments.settling.lock_order import lock_order
from payments.settling.outcomes import (
    record_decline,
    record_first_charge,
    record_needs_action,
    record_promise,
    record_refusal,
    remind_of_promise,
)
from payments.settling.refused_shop import begin_refusal
from payments.settling.request import details_of
from payments.settling.result import Result, UnknownOrder
from payments.settling.retry import pause_after
from payments.settling.steps.before_call import begin_round, store_id
from payments.settling.unknown_outcome import must_be_uncharged
from payments.states import LIVE, PaymentStatus

logger = logging.getLogger(__name__)

# A person should know of an unknown outcome after so long, and before the gateway forgets the keys
# under which a repetition is the same call.
UNKNOWN_AT_MOST = timedelta(hours=20)

# Whether the round has begun is read with the order, so that an order whose round is new costs no
# statement to find that out. It is in SQL because Django took a third of a settlement's time in
# Python to write it.
READ_ORDER = """
    SELECT EXISTS (
        SELECT FROM payments_payment p WHERE p.order_id = o.id AND p.round = o.payment_round
    ), {columns}
    FROM orders_order o WHERE number = %(number)s AND %(reference)s::varchar IN (reference, '')
"""


@dataclass(frozen=True, kw_only=True)
class _Round:
    """One worker's hold on one payment round."""

    payment: Payment
    calls: Calls
    lease_token: uuid.UUID

    @property
    def now(self) -> datetime:
        return self.calls.clock()


def settle_order(
    order_number: str,
    gateways: Gateways,
    *,
    clock: Clock,
    lease_token: uuid.UUID | None = None,
    reference: str = "",
) -> Result:
    """Take the order's current payment round as far as the gateway lets it. A worker that comes
    again with the same lease token, after a lost connection, goes on where it was. An order that
    has the number and another reference is not the one that is meant."""
    order, round_has_begun = _read_order(order_number, reference)
    if order.status not in UNSETTLED:
        return Result.NOTHING_TO_DO
    if order.status == OrderStatus.AUTHORISED:
        return settle_captures(order_number, gateways, clock=clock, asks=True)
    if order.is_free:
        return _settle_free(order, now=clock())
    lease_token = lease_token or uuid.uuid4()
    calls = Calls.begin(gateways, clock)
    gateway = order.gateway or gateways.first
    if round_has_begun:
        payment, is_ours = _payment_of_this_round(order), False
    elif there := gateways.named(gateway):
        payment, is_ours = _begin_round(order, gateway, there.abilities, lease_token, calls)
    else:
        return _wait_for_its_gateway(order, gateway, now=clock())
    if not is_ours and not take_lease(payment, lease_token):
        live = Payment.objects.filter(pk=payment.pk, status__in=LIVE).exists()
        return Result.BUSY if live else Result.NOTHING_TO_DO
    payment.order = order  # every call and log line tells its number
    round_ = _Round(payment=payment, calls=calls, lease_token=lease_token)
    try:
        return _settle(round_)
    finally:
        calls.write_end()


def _read_order(number: str, reference: str) -> tuple[Order, bool]:
    """The order, and whether its current payment round has begun."""
    statement = READ_ORDER.format(columns=columns_of(Order, "o"))
    with connection.cursor() as cursor:
        cursor.execute(statement, {"number": number, "reference": reference})
        found = cursor.fetchone()
    if found is None:
        raise UnknownOrder(number)
    has_begun, *values = found
    return row_of(Order, values), has_begun


def _wait_for_its_gateway(order: Order, gateway: str, *, now: datetime) -> Result:
    """The shop does not have the gateway any more that the order names. Nothing is begun, since
    what a gateway is told follows from what it can."""
    begin_refusal(gateway, NOT_CONFIGURED, now=now)
    pause = pause_after(GatewayMisconfigured(NOT_CONFIGURED), 0, gateway=gateway, now=now)
    ask(order.pk, OutboxMessage.Kind.SETTLE_PAYMENT, at=now + pause)
    return Result.LATER


def _settle_free(order: Order, *, now: datetime) -> Result:
    """Pay an earlier release's order that costs nothing, which no gateway can take."""
    with transaction.atomic():
        Order.objects.select_for_update().get(pk=order.pk)
        begun = Payment.objects.filter(order=order, status__in=LIVE, gateway_payment_id="")
        begun.update(status=PaymentStatus.CANCELLED, settled_at=now)
        paid = pay_with_nothing(order, now=now)
        if paid:
            end_reason(order.pk, REFUSED, now=now)
    return Result.PAID if paid else Result.NOTHING_TO_DO


def _payment_of_this_round(order: Order) -> Payment:
    return Payment.objects.get(order=order, round=order.payment_round)


def _begin_round(
    order: Order, gateway: str, abilities: Abilities, token: uuid.UUID, calls: Calls
) -> tuple[Payment, bool]:
    """The payment of the order's current round, and whether this call began it. Whoever begins it
    has its lease. Of two workers that begin it at once, one row remains."""
    payment = Payment(
        order=order,
        gateway=gateway,
        details=details_of(order, abilities),
        captures_later=captures_later(order, abilities),
        round=order.payment_round,
        status=PaymentStatus.PROCESSING,
        amount_minor=order.total_minor,
        currency=order.currency,
        payment_method=order.payment_method,
        installation=installation_id(),
        return_url=f"{settings.SHOP_URL}/orders/{order.reference}/" if settings.SHOP_URL else "",
        lease_token=token,
        lease_owner=process_name(),
        created_at=calls.clock(),
    )
    # A later round is opened when no earlier one can be charged any more.
    is_opened_next = payment.round == 1
    with fault_points("attempt committed"):
        is_ours, calls.begun = begin_round(
            payment, calls.begins(Step.OPEN, payment.open_key) if is_opened_next else None
        )
    return (payment, True) if is_ours else (_payment_of_this_round(order), False)


def captures_later(order: Order, can: Abilities) -> bool:
    """Whether the price is charged when the order is sent: only of one that waits to be sent."""
    is_wanted = settings.CAPTURE == "dispatch" and can.captures_later
    return is_wanted and order.dispatch_status == DispatchStatus.UNSENT


def _settle(round_: _Round) -> Result:
    payment = round_.payment
    try:
        if _close_earlier_rounds(round_):
            return Result.PAID
        answer = _charge(round_)
    except PaymentMethodRefused as error:
        record_decline(payment, error.code or "payment_method_refused", now=round_.now)
        return Result.DECLINED
    except PaymentRefused as error:
        record_refusal(payment, error.code or "refused", now=round_.now)
        return Result.DECLINED
    except OutcomeUnknown as error:
        return _try_later(round_, PaymentStatus.UNKNOWN, error)
    except (NotExecuted, GatewayMisconfigured) as error:
        return _try_later(round_, PaymentStatus.PROCESSING, error)
    with fault_points("outcome committed"):
        if record_first_charge(payment, answer, round_.calls.ended, now=round_.now):
            round_.calls.take_end()
            return Result.PAID
        with transaction.atomic():
            round_.calls.write_end()
            return _record(round_, answer)


def _close_earlier_rounds(round_: _Round) -> bool:
    """Make sure that no earlier card can be charged any more. True if one has paid."""
    for earlier in _earlier_open_rounds(round_.payment):
        answer = close_payment(round_.calls, earlier)
        if answer.state is GatewayState.PAID:
            record_charge(earlier, answer, now=round_.now, reason="An earlier card was charged")
            return True
    return False


def _earlier_open_rounds(payment: Payment) -> list[Payment]:
    if payment.round == 1:
        return []
    return list(
        Payment.objects.filter(
            order=payment.order_id, round__lt=payment.round, closed_at__isnull=True
        ).exclude(gateway_payment_id="")
    )


def _charge(round_: _Round) -> GatewayPayment:
    payment, calls = round_.payment, round_.calls
    if payment.gateway_payment_id:
        answer = _retrieve(calls, payment)
    else:
        with fault_points("intent opened"):
            opened = calls.open(payment)
        # Only the first id is stored: what a second worker has opened stays unconfirmed.
        if _store_id(payment, opened, calls):
            payment.gateway_payment_id = opened.id
            answer = opened
        else:
            payment.refresh_from_db()
            answer = _retrieve(calls, payment)
    if answer.state is GatewayState.OPEN:
        with fault_points("confirm sent"):
            answer = _confirm(calls, payment)
    return answer


def _store_id(payment: Payment, opened: GatewayPayment, calls: Calls) -> bool:
    is_confirmed_next = opened.state is GatewayState.OPEN
    with fault_points("id stored"):
        is_stored, calls.begun = store_id(
            payment,
            opened.id,
            calls.take_end(),
            calls.begins(Step.CONFIRM, payment.confirm_key) if is_confirmed_next else None,
        )
    return is_stored


def _retrieve(calls: Calls, payment: Payment) -> GatewayPayment:
    try:
        return calls.retrieve(payment)
    except NoSuchPayment as error:
        must_be_uncharged(payment, error, now=calls.clock())
        raise


def _confirm(calls: Calls, payment: Payment) -> GatewayPayment:
    """A refusal to confirm ends the round only when the gateway has closed the payment: an earlier
    confirmation may have charged it, or may yet do so."""
    try:
        return calls.confirm(payment)
    except NoSuchPayment as error:
        must_be_uncharged(payment, error, now=calls.clock())
        raise
    except PaymentRefused:
        answer = calls.cancel(payment)
        if answer.state is GatewayState.CANCELLED:
            raise
        return answer


def _record(round_: _Round, answer: GatewayPayment) -> Result:
    payment, now = round_.payment, round_.now
    match answer.state:
        case GatewayState.PAID:
            if record_charge(payment, answer, now=now) or not _is_still_ours(round_):
                return Result.PAID
            return _try_later(round_, PaymentStatus.UNKNOWN, OutcomeUnknown("amount_differs"))
        case GatewayState.DECLINED:
            record_decline(payment, answer.decline_code, now=now)
            return Result.DECLINED
        case GatewayState.CANCELLED:
            record_decline(payment, "cancelled", now=now, status=PaymentStatus.CANCELLED)
            return Result.DECLINED
        case GatewayState.EXPIRED:
            record_decline(payment, "expired", now=now, status=PaymentStatus.EXPIRED)
            return Result.DECLINED
        case GatewayState.NEEDS_ACTION:
            record_needs_action(payment, answer, now=now)
            return Result.NEEDS_ACTION
        case GatewayState.PROMISED:
            record_promise(payment, now=now)
            return Result.PROMISED
        case GatewayState.AUTHORISED if payment.captures_later:
            record_authorised(payment, answer, now=now)
            return Result.AUTHORISED
        case GatewayState.PROCESSING | GatewayState.OPEN | GatewayState.AUTHORISED:
            return _try_later(round_, PaymentStatus.UNKNOWN, OutcomeUnknown(answer.state.value))


def _is_still_ours(round_: _Round) -> bool:
    return Payment.objects.filter(
        pk=round_.payment.pk, lease_token=round_.lease_token, status__in=LIVE
    ).exists()


def _try_later(round_: _Round, status: PaymentStatus, error: GatewayError) -> Result:
    """There is no outcome yet. An outbox message asks again, after a longer pause each time and
    under the same keys. Where the gateway refuses the shop itself, the order spends no try."""
    payment, tries = round_.payment, round_.payment.tries
    pause = pause_after(error, tries, gateway=payment.gateway, now=round_.now)
    if not isinstance(error, GatewayMisconfigured):
        tries += 1
        logger.log(
            _level(tries),
            "No outcome yet, will ask the gateway again",
            extra={
                "order": payment.order.number,
                "reason": error.code,
                "tries": tries,
                "pause_seconds": round(pause.total_seconds(), 1),
            },
        )
    with transaction.atomic():
        order = lock_order(payment)
        if order.status == OrderStatus.PROMISED:
            status = PaymentStatus.PROMISED  # not to be asked is no doubt
        still_ours = Payment.objects.filter(
            pk=payment.pk, lease_token=round_.lease_token, status__in=LIVE
        ).update(status=status, tries=tries, lease_token=None, lease_until=None, lease_owner="")
        if still_ours:  # otherwise whoever took over also cares for what comes next
            is_open = order.status in UNSETTLED  # an earlier card may have paid it meanwhile
            kinds = OutboxMessage.Kind
            kind = kinds.SETTLE_PAYMENT if is_open else kinds.CHECK_PAYMENT
            ask(payment.order_id, kind, at=round_.now + pause)
            is_too_long = round_.now - payment.created_at >= _unknown_at_most(round_)
            if status is PaymentStatus.PROMISED:
                remind_of_promise(payment, now=round_.now)
            if status is PaymentStatus.UNKNOWN and is_too_long and is_open:
                put_before_a_person(payment.order_id, UNKNOWN_TOO_LONG, now=round_.now)
    return Result.LATER


def _unknown_at_most(round_: _Round) -> timedelta:
    gateway = round_.calls.gateways.named(round_.payment.gateway)
    if gateway is None:  # the shop has it no more
        return UNKNOWN_AT_MOST
    return min(UNKNOWN_AT_MOST, gateway.abilities.remembers_keys_for * 5 / 6)


def _level(tries: int) -> int:
    """It is a warning after about ten minutes without an outcome, and then every few hours."""
    return logging.WARNING if tries >= 10 and tries % 4 == 2 else logging.INFO
