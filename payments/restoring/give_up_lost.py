"""Sending the money of a lost order back, and closing what is still open of it, once a person has
agreed to that: nothing else may decide it, since the order may be known elsewhere.

A restored backup looks like a copy that runs beside its original. So no command moves anything at a
gateway of its own accord; a person agrees for each payment, and the worker does it as it does
everything: under a key that is stored before the call, and after it has looked for what was begun.
"""

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from django.db.models import F

from checkout.catalogue.money import money, show_money
from checkout.orders.identity.matching import names_us, orders_named
from checkout.runtime.database import DATABASE_ERRORS
from checkout.runtime.faultpoints import fault_points
from checkout.runtime.retry import backoff
from payments.books.lost_orders import seen_to
from payments.gateways.base import (
    DisputeState,
    Gateway,
    GatewayError,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayRefund,
    GatewayState,
    NotExecuted,
    OutcomeUnknown,
    RefundRefused,
    RefundState,
)
from payments.gateways.load import Gateways
from payments.models import LostOrder, Payment

logger = logging.getLogger(__name__)

FIRST_PAUSE = timedelta(seconds=30)
LONGEST_PAUSE = timedelta(hours=1)

# Nothing is left to be done about a payment in one of these states.
OVER = {GatewayState.CANCELLED, GatewayState.EXPIRED, GatewayState.DECLINED}

# The customer has the money by that, or may get it.
HELD_BY_A_BANK = {DisputeState.NEEDS_RESPONSE, DisputeState.UNDER_REVIEW, DisputeState.LOST}

# Nobody knows yet what became of the call.
NOT_KNOWN = (NotExecuted, OutcomeUnknown, GatewayMisconfigured)


class NotOurs(Exception):
    """The payment is not one of a lost order, so that nothing may be done about it."""


def give_up_next(gateways: Gateways, *, clock: Callable[[], datetime]) -> bool:
    """Give up one payment that a person has agreed to; False when there is none to be done now."""
    due = LostOrder.objects.filter(next_try_at__lte=clock(), seen_to_at=None)
    lost = due.order_by("next_try_at").first()
    if lost is None:
        return False
    pause = backoff(lost.tries + 1, first=FIRST_PAUSE, longest=LONGEST_PAUSE)
    # Counted before the call. Of two workers one goes on, and the other comes after a pause.
    begun = LostOrder.objects.filter(pk=lost.pk, tries=lost.tries, next_try_at=lost.next_try_at)
    if not begun.update(tries=F("tries") + 1, next_try_at=clock() + pause):
        return False
    try:
        done, state = _given_up(lost, gateways.of(lost))
    except NOT_KNOWN as error:
        extra = {"order": lost.number, "reason": error.code}
        logger.info("A lost order's payment is not given up yet", extra=extra)
        return True
    except (GatewayError, NotOurs) as error:
        _hand_back(lost, error)
        return True
    except DATABASE_ERRORS:
        raise
    except Exception:  # a fault of ours: it must not stop the worker, and is tried again
        logger.exception("Giving a lost order's payment up failed", extra={"order": lost.number})
        return True
    LostOrder.objects.filter(pk=lost.pk).update(next_try_at=None, state=state.value)
    seen_to(lost, by=lost.agreed_by, how=f"{done} ({lost.agreed_why})", now=clock())
    return True


def _hand_back(lost: LostOrder, error: Exception) -> None:
    """The gateway will not do it: a person looks again."""
    LostOrder.objects.filter(pk=lost.pk).update(next_try_at=None, agreed_at=None)
    reason = error.code if isinstance(error, GatewayError) else str(error)
    logger.error(
        "A lost order's payment could not be given up; a person must look",
        extra={"order": lost.number, "payment": lost.gateway_payment_id, "reason": reason},
    )


def _given_up(lost: LostOrder, gateway: Gateway) -> tuple[str, GatewayState]:
    """What was done, and how the payment stands then."""
    theirs = gateway.retrieve(lost.gateway_payment_id)
    _must_be_lost(lost, theirs)
    if theirs.state not in OVER and theirs.state is not GatewayState.PAID:
        theirs = gateway.cancel(theirs.id, idempotency_key=f"{lost.refund_key}-cancel")
    if theirs.state in OVER:
        return "Closed at the gateway; nothing was charged", theirs.state
    if theirs.state is not GatewayState.PAID:
        raise OutcomeUnknown(theirs.state.value)  # as where a bank has promised the money
    if any(each.state in HELD_BY_A_BANK for each in gateway.disputes_of(theirs.id)):
        raise RefundRefused("charge_disputed", is_disputed=True)
    refunds = gateway.refunds_of(theirs.id)
    refund = next((each for each in refunds if each.refund_key == lost.refund_key), None)
    refund = refund or _send_back(lost, gateway, theirs, refunds)
    if refund and refund.state is RefundState.PENDING:
        raise OutcomeUnknown("pending")
    if refund and refund.state is RefundState.FAILED:
        raise GatewayError("refund_failed")
    if refund is None:
        return "All of it had been sent back before", theirs.state
    return f"{show_money(money(refund.amount_minor, refund.currency))} sent back", theirs.state


def _must_be_lost(lost: LostOrder, theirs: GatewayPayment) -> None:
    is_named = names_us(theirs.order) and theirs.order.reference == lost.reference
    is_here = orders_named([theirs.order]).exists()
    if not is_named or is_here or Payment.objects.filter(gateway_payment_id=theirs.id).exists():
        raise NotOurs("its order is here, or it is another's")


def _send_back(
    lost: LostOrder, gateway: Gateway, theirs: GatewayPayment, refunds: list[GatewayRefund]
) -> GatewayRefund | None:
    """All that is left of the charge. None where all of it was sent back before."""
    sent = sum(each.amount_minor for each in refunds if each.state is not RefundState.FAILED)
    left = theirs.charged_minor - sent
    if left <= 0:
        return None
    with fault_points("refund sent"):
        return gateway.refund(
            theirs.id,
            amount_minor=left,
            currency=theirs.currency,
            refund_key=lost.refund_key,
            idempotency_key=lost.refund_key,
        )
