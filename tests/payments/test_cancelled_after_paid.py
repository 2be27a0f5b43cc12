"""A cancelled order has its money sent back once, and a refunded one is not sent."""

from datetime import timedelta
from threading import Event

import pytest
from django.db import connection, transaction
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch.ship import CannotShip, ship
from checkout.orders.models import Mail, Order
from checkout.orders.outbox.sweep import sweep
from checkout.orders.states import Canceller, DispatchStatus, OrderStatus
from payments.models import Payment, Refund
from payments.refunds import request_refund, send_all_back
from payments.settling.check_order import cancel_order
from tests.support.at_once import at_once
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.processes import eventually
from tests.support.till import Till, only
from tests.support.waiting import wait_long_for_locks


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0], shelf[1])
    till.deliver_messages()
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    return order


def test_money_of_a_cancelled_order_goes_back_once(order: Order, till: Till) -> None:
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=timezone.now())

    till.deliver_messages()
    for _ in range(2):  # SQS delivers again
        cancel_order(order.number, only(till.gateway), clock=timezone.now)

    order.refresh_from_db()
    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor) == ("succeeded", order.total_minor)
    assert order.status == OrderStatus.REFUNDED
    assert order.dispatch_status == DispatchStatus.CALLED_OFF
    kinds = list(Mail.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["received", "paid", "called_off", "refunded"]
    assert violations() == []


def test_only_what_is_left_goes_back(order: Order, till: Till) -> None:
    payment = Payment.objects.get()
    request_refund(payment, amount_minor=300, reason="Late", requested_by=None, now=timezone.now())
    till.deliver_messages()

    cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())
    till.deliver_messages()

    amounts = list(Refund.objects.order_by("id").values_list("amount_minor", flat=True))
    assert amounts == [300, order.total_minor - 300]


def test_part_that_goes_back_in_the_same_moment_is_not_sent_twice_nor_the_rest_kept(
    order: Order, till: Till
) -> None:
    cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())
    payment, is_locked = Payment.objects.get(), Event()

    def send_a_part_back() -> None:
        with transaction.atomic():
            Order.objects.select_for_update().get(pk=order.pk)
            is_locked.set()
            eventually(somebody_waits, what="the other's wait for the lock")
            now = timezone.now()
            request_refund(payment, amount_minor=300, reason="Late", requested_by=None, now=now)

    def send_the_rest_back() -> None:
        is_locked.wait()
        wait_long_for_locks()
        send_all_back(order, now=timezone.now())

    at_once(send_a_part_back, send_the_rest_back)

    amounts = list(Refund.objects.order_by("id").values_list("amount_minor", flat=True))
    assert amounts == [300, order.total_minor - 300]
    order.refresh_from_db()
    assert not order.needs_person


def somebody_waits() -> bool:
    """Whether another transaction waits for the end of this one."""
    waits = "SELECT 1 FROM pg_locks WHERE NOT granted AND transactionid = pg_current_xact_id()::xid"
    with connection.cursor() as cursor:
        cursor.execute(waits)
        return cursor.fetchone() is not None


def test_refund_of_all_calls_off_what_was_not_sent(order: Order, till: Till) -> None:
    payment = Payment.objects.get()
    request_refund(
        payment,
        amount_minor=order.total_minor,
        reason="Late",
        requested_by=None,
        now=timezone.now(),
    )

    with pytest.raises(CannotShip):  # before the worker has sent the money
        ship(order, None, key="k", by="clerk", now=timezone.now())

    order.refresh_from_db()
    assert order.dispatch_status == DispatchStatus.CALLED_OFF


def test_refund_of_all_at_the_gateways_own_site_calls_off_too(order: Order, till: Till) -> None:
    payment = Payment.objects.get()
    till.gateway.refund(
        payment.gateway_payment_id,
        amount_minor=order.total_minor,
        refund_key="",
        currency=payment.currency,
        idempotency_key="site",
    )

    till.check(order)

    order.refresh_from_db()
    assert order.status == OrderStatus.REFUNDED
    assert order.dispatch_status == DispatchStatus.CALLED_OFF


def test_dispute_holds_the_parcel_and_its_end_lets_it_go(order: Order, till: Till) -> None:
    from tests.payments.test_attention import Case, hear_of_a_dispute

    case = Case([], till.gateway, till)  # type: ignore[arg-type] # the gateway is Stripe's here
    dispute = till.dispute(Payment.objects.get())
    hear_of_a_dispute(case, order)
    with pytest.raises(CannotShip) as refused:
        ship(order, None, key="k", by="clerk", now=timezone.now())
    assert refused.value.code == "held"

    till.decide(dispute, won=True)
    hear_of_a_dispute(case, order)

    assert ship(order, None, key="k", by="clerk", now=timezone.now())


def test_lost_message_of_a_cancelled_order_is_swept(order: Order, till: Till) -> None:
    cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())
    order.outbox_messages.update(published_at=timezone.now())  # and SQS lost it
    order.refresh_from_db()
    assert order.sweep_at is not None

    assert sweep(now=order.sweep_at) == 1
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == OrderStatus.REFUNDED
    assert order.sweep_at is None
    assert Refund.objects.get().amount_minor == order.total_minor


def test_cancelled_order_whose_money_a_bank_holds_is_not_swept_for_ever(
    order: Order, till: Till
) -> None:
    cancel_paid(order, Canceller.STAFF, by="ada", why="Sold out", now=timezone.now())
    till.dispute(Payment.objects.get())
    till.check(order)
    till.deliver_messages()

    order.refresh_from_db()
    assert order.needs_person
    assert order.sweep_at is None
    assert sweep(now=timezone.now() + timedelta(days=1)) == 0
