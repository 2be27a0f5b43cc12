"""Whoever locks an order and its payments locks the order first, or two wait for each other.

`payments.settling.lock_order` is where that is said; here each writer is watched.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from payments.books.repair import _take_over_all
from payments.gateways.base import GatewayPayment, GatewayState
from payments.models import Payment, Refund
from payments.refunds import approve_refund, request_refund
from payments.settling.close_payment import told_as
from payments.settling.gateway_calls import Calls
from payments.settling.outcomes import (
    prepare_refund,
    record_decline,
    record_needs_action,
    record_success,
)
from payments.settling.refunds import _record_failure, settle_refunds, take_over_refunds
from payments.states import PaymentStatus
from tests.support.factories import placed_order
from tests.support.till import Till, only

ORDERS = re.compile(
    r'UPDATE "orders_order" |SELECT .* FROM "orders_order" .* FOR UPDATE', re.DOTALL
)
PAYMENTS = re.compile(
    r'UPDATE "payments_(payment|refund)" |SELECT .* FROM "payments_\w+" .* FOR UPDATE', re.DOTALL
)


@dataclass
class Case:
    payment: Payment
    till: Till
    user: User
    refunds: list[Refund] = field(default_factory=list)


def be_undecided(case: Case) -> None:
    Order.objects.update(status="placed", sweep_at=timezone.now())
    Payment.objects.update(status=PaymentStatus.PROCESSING)


def ask_for_refund(case: Case) -> None:
    asked = request_refund(
        case.payment, amount_minor=100, reason="Broken", requested_by=None, now=timezone.now()
    )
    case.refunds.append(asked)


def prepare(case: Case) -> None:
    prepare_refund(case.payment, 100, "Charged too much", now=timezone.now())
    case.refunds.append(Refund.objects.select_related("payment").get())


def succeed(case: Case) -> None:
    answer = GatewayPayment(
        id=case.payment.gateway_payment_id,
        state=GatewayState.PAID,
        amount_minor=case.payment.amount_minor,
        currency=case.payment.currency,
        order=case.payment.identity,
    )
    assert record_success(case.payment, answer, now=timezone.now())


def agree(case: Case) -> None:
    assert approve_refund(
        case.refunds[0], approved_by=case.user, why="So it is", now=timezone.now()
    )


def nothing(case: Case) -> None:
    """It is paid already, which is enough."""


Act = Callable[[Case], object]

# What goes before, and the writer that is watched.
WRITERS: dict[str, tuple[Act, Act]] = {
    "a success": (be_undecided, succeed),
    "a decline": (
        be_undecided,
        lambda case: record_decline(case.payment, "no_funds", now=timezone.now()),
    ),
    "a bank that asks": (
        be_undecided,
        lambda case: record_needs_action(
            case.payment, told_as(case.payment, GatewayState.NEEDS_ACTION), now=timezone.now()
        ),
    ),
    "a refund asked for": (nothing, ask_for_refund),
    "a refund agreed to": (prepare, agree),
    "a refund sent": (
        ask_for_refund,
        lambda case: settle_refunds(
            case.payment.order.number, only(case.till.gateway), clock=timezone.now
        ),
    ),
    "a refund refused": (
        ask_for_refund,
        lambda case: _record_failure(case.refunds[0], "expired_card", now=timezone.now()),
    ),
    "refunds taken over": (
        nothing,
        lambda case: take_over_refunds(
            case.payment, Calls.begin(only(case.till.gateway), timezone.now)
        ),
    ),
    "refunds reconciled": (
        prepare,
        lambda case: _take_over_all(case.payment, only(case.till.gateway), timezone.now),
    ),
}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", WRITERS)
def test_order_is_locked_before_its_payments(name: str, shelf: list[Product], till: Till) -> None:
    till.settle(placed_order(shelf[0]))
    payment = Payment.objects.select_related("order").get()
    case = Case(payment, till, User.objects.create_user("grace"))
    prepare_case, write = WRITERS[name]
    prepare_case(case)

    with CaptureQueriesContext(connection) as captured:
        write(case)

    locked: list[str] = []  # by the transaction that is under way
    for sql in (query["sql"] for query in captured):
        if sql in {"BEGIN", "COMMIT", "ROLLBACK"}:
            locked = []
        elif ORDERS.match(sql):
            assert "payment" not in locked, f"{sql} comes after a payment was locked"
            locked.append("order")
        elif PAYMENTS.match(sql) and "order" not in locked:
            locked.append("payment")
