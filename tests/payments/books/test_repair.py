"""A repair does what is safe about a difference, and leaves all else to a person."""

from dataclasses import replace

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import CHARGED_TWICE, OVERCHARGED
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from payments.books.audit import audit_database
from payments.books.compare import CHARGED_NOT_PAID, ORPHAN, REFUND_THERE_ONLY, WRONG_AMOUNT
from payments.books.repair import Report, reconcile
from payments.gateways.base import (
    GatewayPayment,
    GatewayState,
    OutcomeUnknown,
)
from payments.gateways.example.client import ExampleGateway
from payments.models import Payment, PaymentAttempt, Refund
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus, RefundStatus
from tests.support.asked import asked
from tests.support.books_that_differ import (
    OLD,
    SINCE,
    ask_for_refund,
    books,
    charge_another,
    charge_twice,
    charge_unheard,
    failed_order,
    found,
    kinds,
    leave_a_card_waiting,
    leave_open,
    open_another,
    paid_order,
    payment_without_id,
    refund_at_the_gateway,
    repaired,
)
from tests.support.factories import placed_order
from tests.support.till import only


def test_recorded_charge_pays_its_order(shelf: list[Product], gateway: ExampleGateway) -> None:
    charge_unheard(paid_order(shelf[0], gateway), gateway)

    report = repaired(gateway)

    assert list(report.repairs.values()) == ["recorded"]
    assert Order.objects.get().status == "paid"
    assert OrderEvent.objects.filter(reason="Found by reconciliation").count() == 1
    assert broken_promises() == set()


def broken_promises() -> set[str]:
    return {row for finding in audit_database(timezone.now()) for row in finding.rows}


def test_second_charge_is_recorded_and_put_before_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    charge_twice(paid_order(shelf[0], gateway), gateway)

    assert repaired(gateway).remaining == []

    order = Order.objects.get()
    assert (order.status, order.needs_person) == ("paid", CHARGED_TWICE)
    assert Refund.objects.get().status == RefundStatus.PREPARED


def test_of_two_unknown_charges_the_first_pays_the_order(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    first, second = charge_another(order, gateway), charge_another(order, gateway)

    assert repaired(gateway).remaining == []

    is_surplus = dict(Payment.objects.values_list("gateway_payment_id", "is_surplus"))
    assert (is_surplus[first], is_surplus[second]) == (False, True)


def test_charge_is_attached_to_the_round_that_waits_for_its_id(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = placed_order(shelf[0])
    payment = payment_without_id(order)
    charged = charge_another(order, gateway)

    assert repaired(gateway).remaining == []

    recorded = Payment.objects.get()
    assert (recorded.pk, recorded.gateway_payment_id) == (payment.pk, charged)
    assert recorded.status == PaymentStatus.PAID


def test_worker_that_comes_after_the_repair_does_not_charge_again(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = placed_order(shelf[0])
    charge_another(order, gateway)  # its payment was lost here, its message was not

    assert repaired(gateway).remaining == []
    Order.objects.update(status="placed", sweep_at=timezone.now())  # as an earlier read saw it
    settle_order(order.number, only(gateway), clock=timezone.now)

    assert Payment.objects.get().status == PaymentStatus.PAID
    assert len(gateway.payments) == 1


def test_overcharge_is_recorded_with_a_refund_of_the_difference(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    charge_another(order, gateway, amount_minor=order.total_minor + 7)

    assert repaired(gateway).remaining == []

    order.refresh_from_db()
    assert (order.status, order.needs_person) == ("paid", OVERCHARGED)
    assert Refund.objects.get().amount_minor == 7


def test_charge_of_less_than_the_price_changes_nothing_here(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    charge_another(order, gateway, amount_minor=55)
    before = books()

    assert kinds(repaired(gateway).remaining) == [WRONG_AMOUNT]
    assert books() == before


def test_charge_that_names_another_order_than_its_payment_is_left_to_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment, other = paid_order(shelf[0], gateway), failed_order(shelf[0], gateway)
    charge_unheard(payment, gateway)
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, order=identity_of(other))
    before = books()

    assert kinds(repaired(gateway).remaining) == [CHARGED_NOT_PAID]
    assert books() == before


def test_charge_with_its_refund_is_taken_over_as_a_whole(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    refund_at_the_gateway(charge_another(order, gateway), gateway)

    assert repaired(gateway).remaining == []

    order.refresh_from_db()
    assert (order.status, order.refunded_minor) == ("partly_refunded", 100)


@pytest.mark.parametrize(
    ("sent_back_there", "prepared"),
    [(1001, []), (400, [601])],
)
def test_second_charge_that_was_sent_back_there_is_not_prepared_to_be_sent_back_again(
    shelf: list[Product], gateway: ExampleGateway, sent_back_there: int, prepared: list[int]
) -> None:
    payment = paid_order(shelf[0], gateway)
    second = charge_another(payment.order, gateway)
    refund_at_the_gateway(second, gateway, sent_back_there)

    assert repaired(gateway).remaining == []

    still = Refund.objects.filter(status=RefundStatus.PREPARED)
    assert list(still.values_list("amount_minor", flat=True)) == prepared
    assert bool(Order.objects.get().needs_person) == bool(prepared)
    assert bool(broken_promises()) == bool(prepared)


def test_cancelled_order_is_not_revived_by_a_charge_that_was_sent_back(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    cancel_unpaid(order, now=timezone.now())
    refund_at_the_gateway(charge_another(order, gateway), gateway, order.total_minor)
    before = books()

    assert kinds(repaired(gateway).remaining) == [CHARGED_NOT_PAID]
    assert books() == before


def test_refund_that_the_worker_owes_an_outcome_is_handed_to_it(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment, age=OLD)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)
    Refund.objects.update(tries=1)
    OutboxMessage.objects.update(published_at=timezone.now())

    assert kinds(repaired(gateway).remaining) == [REFUND_THERE_ONLY]

    [message] = OutboxMessage.objects.filter(published_at=None)
    assert message.kind == OutboxMessage.Kind.REFUND
    assert kinds(repaired(gateway).remaining) == [REFUND_THERE_ONLY]
    assert OutboxMessage.objects.filter(published_at=None).count() == 1
    settle_refunds(payment.order.number, only(gateway), clock=timezone.now)
    assert found(gateway) == []


def test_refund_that_was_never_sent_from_here_is_left_to_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    """As after a restored backup: the worker would not look for it, and send it again."""
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment, age=OLD)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)
    OutboxMessage.objects.update(published_at=timezone.now())

    assert kinds(repaired(gateway).remaining) == [REFUND_THERE_ONLY]
    assert not OutboxMessage.objects.filter(published_at=None).exists()


def test_refund_that_failed_here_and_was_made_there_is_believed(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)
    Refund.objects.update(status="failed")

    assert repaired(gateway).remaining == []

    assert Refund.objects.get().status == "succeeded"
    assert Order.objects.get().refunded_minor == refund.amount_minor


def test_cancelling_a_known_orphan_is_written_down_and_closes_it_here(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    leave_a_card_waiting(paid_order(shelf[0], gateway), gateway)

    assert list(repaired(gateway).repairs.values()) == ["cancelled there"]

    waiting = Payment.objects.get(round=2)
    assert (waiting.status, waiting.closed_at is None) == (PaymentStatus.CANCELLED, False)
    assert gateway.retrieve(waiting.gateway_payment_id).state is GatewayState.CANCELLED
    assert PaymentAttempt.objects.filter(payment=waiting, step="cancel").count() == 1


def test_card_that_was_charged_before_it_was_cancelled_is_recorded(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    leave_open(paid_order(shelf[0], gateway), gateway)
    report = reconcile(
        only(gateway),
        since=timezone.now() - SINCE,
        clock=timezone.now,
        may_repair=lambda report: bool(confirm_all(gateway)),
    )

    assert kinds(report.remaining) == []
    assert Order.objects.get().needs_person == CHARGED_TWICE


def test_orphan_charged_too_little_at_the_last_moment_changes_nothing_here(
    shelf: list[Product], gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = failed_order(shelf[0], gateway)
    opened = open_another(order, gateway, amount_minor=55)
    before = books()

    def charges_first(payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        return gateway.confirm(opened, asked(), idempotency_key="late")

    monkeypatch.setattr(gateway, "cancel", charges_first)

    assert kinds(repaired(gateway).remaining) == [WRONG_AMOUNT]
    assert books() == before


def test_orphan_that_the_order_waits_for_by_now_is_not_cancelled(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    opened = open_another(order, gateway)

    def pays_again_while_the_question_stands(report: Report) -> bool:
        Order.objects.update(status="placed", payment_round=2, sweep_at=timezone.now())
        order.refresh_from_db()
        payment_without_id(order)
        Payment.objects.filter(round=2).update(gateway_payment_id=opened)
        return True

    report = reconcile(
        only(gateway),
        since=timezone.now() - SINCE,
        clock=timezone.now,
        may_repair=pays_again_while_the_question_stands,
    )

    assert report.remaining == []
    assert gateway.retrieve(opened).state is GatewayState.OPEN


def confirm_all(gateway: ExampleGateway) -> int:
    for payment_id in list(gateway.payments):
        gateway.confirm(payment_id, asked(), idempotency_key=f"{payment_id}-late")
    return len(gateway.payments)


def test_order_that_is_paid_by_a_repair_has_its_other_card_closed(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = placed_order(shelf[0])
    waiting = open_another(order, gateway)
    Payment.objects.filter(pk=payment_without_id(order).pk).update(
        gateway_payment_id=waiting, status="needs_action"
    )
    charge_another(order, gateway)

    report = repaired(gateway)

    assert sorted(report.repairs.values()) == ["cancelled there", "recorded"]
    assert report.remaining == []
    assert gateway.retrieve(waiting).state is GatewayState.CANCELLED


def test_gateway_that_fails_at_one_repair_is_asked_for_the_others(
    shelf: list[Product], gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        leave_open(paid_order(shelf[0], gateway), gateway)
    cancel = gateway.cancel
    failing = [True]

    def fails_once(payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        if failing:
            failing.pop()
            raise OutcomeUnknown("timeout")
        return cancel(payment_id, idempotency_key=idempotency_key)

    monkeypatch.setattr(gateway, "cancel", fails_once)
    report = repaired(gateway)

    assert sorted(report.repairs.values()) == ["cancelled there", "not now: OutcomeUnknown"]
    assert kinds(report.remaining) == [ORPHAN]
    assert repaired(gateway).remaining == []
