"""Every difference between the books is found, and none that is not there."""

import itertools
import json
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import CHARGED_TWICE, OVERCHARGED
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.numbers import check_digits
from payments.books import compare as r
from payments.books.audit import audit_database
from payments.gateways.base import (
    GatewayPayment,
    GatewayState,
    OutcomeUnknown,
    RefundState,
)
from payments.gateways.example import ExampleGateway
from payments.models import Payment, PaymentAttempt, Refund
from payments.refunds import request_refund
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus, RefundStatus
from tests.support.factories import placed_order
from tests.support.long import at_length

# So few have each kind among them.
FEW = (60, 40)
ORDERS, DIFFERENCES = 300, 200
SINCE = timedelta(hours=72)
OLD = timedelta(hours=2)

SERIAL = itertools.count()


@pytest.fixture
def gateway() -> ExampleGateway:
    """Opens everything two hours ago, so that nothing of it is on its way any more."""
    return ExampleGateway(clock=lambda: timezone.now() - OLD)


def paid_order(product: Product, gateway: ExampleGateway) -> Payment:
    order = placed_order(product)
    settle_order(order.number, gateway, clock=timezone.now)
    return Payment.objects.get(order=order)


def failed_order(product: Product, gateway: ExampleGateway) -> Order:
    order = placed_order(product, payment_method="pm_card_chargeDeclined")
    settle_order(order.number, gateway, clock=timezone.now)
    order.refresh_from_db()
    return order


def found(gateway: ExampleGateway, now: datetime | None = None) -> list[r.Difference]:
    now = now or timezone.now()
    return list(r.differences(gateway, since=now - SINCE, now=now))


def repaired(gateway: ExampleGateway) -> r.Report:
    since = timezone.now() - SINCE
    return r.reconcile(gateway, since=since, clock=timezone.now, may_repair=lambda report: True)


def told(differences: list[r.Difference]) -> Counter[tuple[str, str]]:
    return Counter((difference.kind, difference.order) for difference in differences)


def kinds(differences: list[r.Difference]) -> list[str]:
    return [difference.kind for difference in differences]


def books() -> list[object]:
    """Everything that a repair may change."""
    tables = (Order, OrderEvent, OutboxMessage, Payment, Refund)
    return [list(table.objects.order_by("pk").values()) for table in tables]


# Differences, each planted into an order that was paid as it should be.


def charge_unheard(payment: Payment, gateway: ExampleGateway) -> str:
    Payment.objects.filter(pk=payment.pk).update(status="declined", charged_minor=None)
    Order.objects.filter(pk=payment.order_id).update(status="payment_failed")
    OrderEvent.objects.filter(order=payment.order_id, to_status="paid").update(
        to_status="payment_failed"
    )
    return r.CHARGED_NOT_PAID


def charge_an_order_that_is_not_paid(payment: Payment, gateway: ExampleGateway) -> str:
    Order.objects.filter(pk=payment.order_id).update(status="payment_failed")
    return r.CHARGED_NOT_PAID


def charge_twice(payment: Payment, gateway: ExampleGateway) -> str:
    charge_another(payment.order, gateway)
    return r.CHARGED_NOT_PAID


def charge_another(order: Order, gateway: ExampleGateway, amount_minor: int | None = None) -> str:
    opened = open_another(order, gateway, amount_minor)
    gateway.confirm(opened, return_url="", idempotency_key=f"{opened}-confirm")
    return opened


def open_another(
    order: Order,
    gateway: ExampleGateway,
    amount_minor: int | None = None,
    payment_method: str = "pm_card_visa",
) -> str:
    return gateway.open(
        order=identity_of(order),
        amount_minor=amount_minor or order.total_minor,
        currency="EUR",
        payment_method=payment_method,
        idempotency_key=f"another-{next(SERIAL)}",
    ).id


def leave_open(payment: Payment, gateway: ExampleGateway) -> str:
    open_another(payment.order, gateway)
    return r.ORPHAN


def leave_at_the_bank(payment: Payment, gateway: ExampleGateway) -> str:
    opened = open_another(payment.order, gateway, payment_method="pm_card_authenticationRequired")
    gateway.confirm(opened, return_url="", idempotency_key=f"{opened}-confirm")
    return r.ORPHAN


def leave_a_card_waiting(payment: Payment, gateway: ExampleGateway) -> str:
    """Stored here and waited for, though the order was paid by another card."""
    Payment.objects.create(
        order=payment.order,
        round=2,
        status="needs_action",
        amount_minor=payment.amount_minor,
        currency="EUR",
        gateway_payment_id=open_another(payment.order, gateway),
        created_at=timezone.now() - OLD,
    )
    return r.ORPHAN


def never_charge(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, state=GatewayState.CANCELLED)
    return r.PAID_NOT_CHARGED


def forget(payment: Payment, gateway: ExampleGateway) -> str:
    del gateway.payments[payment.gateway_payment_id]
    return r.PAID_NOT_CHARGED


def pay_without_payment(payment: Payment, gateway: ExampleGateway) -> str:
    never_charge(payment, gateway)
    Payment.objects.filter(pk=payment.pk).update(status="cancelled", charged_minor=None)
    return r.PAID_NOT_CHARGED


def charge_another_amount(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, amount_minor=theirs.amount_minor + 1)
    return r.WRONG_AMOUNT


def charge_another_currency(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, currency="USD")
    return r.WRONG_AMOUNT


def charge_too_little_unheard(payment: Payment, gateway: ExampleGateway) -> str:
    charge_another(payment.order, gateway, amount_minor=55)
    return r.WRONG_AMOUNT


def refund_there(payment: Payment, gateway: ExampleGateway) -> str:
    refund_at_the_gateway(payment.gateway_payment_id, gateway)
    return r.REFUND_THERE_ONLY


def refund_at_the_gateway(
    payment_id: str, gateway: ExampleGateway, amount_minor: int = 100, refund_key: str = ""
) -> str:
    return gateway.refund(
        payment_id,
        amount_minor=amount_minor,
        currency="EUR",
        refund_key=refund_key,
        idempotency_key=f"there-{next(SERIAL)}",
    ).id


def refund_here(payment: Payment, gateway: ExampleGateway) -> str:
    sent_back(payment, gateway)
    refund = Refund.objects.get(payment=payment)
    del gateway.refunds[refund.gateway_refund_id]
    return r.REFUND_HERE_ONLY


def refund_another_amount(payment: Payment, gateway: ExampleGateway) -> str:
    sent_back(payment, gateway)
    theirs = gateway.refunds_of(payment.gateway_payment_id)[0]
    gateway.refunds[theirs.id] = replace(theirs, amount_minor=theirs.amount_minor + 1)
    return r.REFUND_DIFFERS


def fail_a_refund_late(payment: Payment, gateway: ExampleGateway) -> str:
    sent_back(payment, gateway)
    theirs = gateway.refunds_of(payment.gateway_payment_id)[0]
    gateway.refunds[theirs.id] = replace(theirs, state=RefundState.FAILED)
    return r.REFUND_CAME_BACK


def lose_the_order(payment: Payment, gateway: ExampleGateway) -> str:
    """A charge for an order of ours that the database does not have."""
    lost = OrderIdentity(
        number=number_of_nobody(payment.pk),
        reference=f"lost-{payment.pk}",
        installation=installation_id(),
    )
    charge_for(lost, gateway)
    return r.LOST_ORDER


def number_of_nobody(serial: int) -> str:
    return f"{900_000 + serial}-{check_digits(900_000 + serial)}"


def sent_back(payment: Payment, gateway: ExampleGateway) -> None:
    ask_for_refund(payment)
    settle_refunds(payment.order.number, gateway, clock=timezone.now)


def ask_for_refund(payment: Payment, *, age: timedelta = timedelta(0)) -> Refund:
    now = timezone.now() - age
    return request_refund(payment, amount_minor=100, reason="Test", requested_by=None, now=now)


PLANTS: list[Callable[[Payment, ExampleGateway], str]] = [
    charge_unheard,
    charge_an_order_that_is_not_paid,
    charge_twice,
    leave_open,
    leave_at_the_bank,
    leave_a_card_waiting,
    never_charge,
    forget,
    pay_without_payment,
    charge_another_amount,
    charge_another_currency,
    charge_too_little_unheard,
    refund_there,
    refund_here,
    refund_another_amount,
    fail_a_refund_late,
    lose_the_order,
]

FOR_A_PERSON = {
    charge_an_order_that_is_not_paid,
    never_charge,
    forget,
    pay_without_payment,
    charge_another_amount,
    charge_another_currency,
    charge_too_little_unheard,
    refund_here,
    refund_another_amount,
    lose_the_order,
}


# What looks odd and is no difference.


def refund_known_to_both(payment: Payment, gateway: ExampleGateway) -> None:
    sent_back(payment, gateway)


def refund_asked_for(payment: Payment, gateway: ExampleGateway) -> None:
    ask_for_refund(payment, age=OLD)


def refund_on_its_way_there(payment: Payment, gateway: ExampleGateway) -> None:
    refund_id = refund_at_the_gateway(payment.gateway_payment_id, gateway)
    refund = gateway.refunds[refund_id]
    gateway.refunds[refund_id] = replace(refund, state=RefundState.PENDING)


def refund_failed_there(payment: Payment, gateway: ExampleGateway) -> None:
    refund_id = refund_at_the_gateway(payment.gateway_payment_id, gateway)
    refund = gateway.refunds[refund_id]
    gateway.refunds[refund_id] = replace(refund, state=RefundState.FAILED)


def charge_not_recorded_yet(payment: Payment, gateway: ExampleGateway) -> None:
    Payment.objects.filter(pk=payment.pk).update(status="processing", charged_minor=None)
    Order.objects.filter(pk=payment.order_id).update(status="placed", sweep_at=timezone.now())


def cancelled_second_try(payment: Payment, gateway: ExampleGateway) -> None:
    gateway.cancel(open_another(payment.order, gateway), idempotency_key=f"close-{payment.pk}")


def nothing(payment: Payment, gateway: ExampleGateway) -> None:
    pass


INNOCENT = [
    refund_known_to_both,
    refund_asked_for,
    refund_on_its_way_there,
    refund_failed_there,
    charge_not_recorded_yet,
    cancelled_second_try,
    nothing,
]


@pytest.mark.parametrize(
    ("orders", "differences"), [FEW, *at_length((ORDERS, DIFFERENCES))], ids=["few", "many"]
)
def test_planted_differences_are_found_and_no_other(
    shelf: list[Product], gateway: ExampleGateway, orders: int, differences: int
) -> None:
    chance = random.Random(2026)
    payments = [paid_order(shelf[0], gateway) for _ in range(orders)]
    chance.shuffle(payments)
    plants = PLANTS + chance.choices(PLANTS, k=differences - len(PLANTS))
    chance.shuffle(plants)
    expected: Counter[tuple[str, str]] = Counter()
    beyond_repair: Counter[tuple[str, str]] = Counter()
    for payment, plant in zip(payments, plants, strict=False):
        kind = plant(payment, gateway)
        number = number_of_nobody(payment.pk) if plant is lose_the_order else payment.order.number
        expected[kind, number] += 1
        if plant in FOR_A_PERSON:
            beyond_repair[kind, number] += 1
    for payment in payments[differences:]:
        chance.choice(INNOCENT)(payment, gateway)
    assert expected.total() == differences

    assert told(found(gateway)) == expected

    report = repaired(gateway)
    assert told(report.found) == expected
    assert told(report.remaining) == beyond_repair
    assert told(found(gateway)) == beyond_repair

    before = books()
    assert told(repaired(gateway).remaining) == beyond_repair
    assert books() == before


@pytest.mark.parametrize("plant", PLANTS)
def test_each_kind_of_difference_is_found_and_repaired_or_left_to_a_person(
    shelf: list[Product],
    gateway: ExampleGateway,
    plant: Callable[[Payment, ExampleGateway], str],
) -> None:
    kind = plant(paid_order(shelf[0], gateway), gateway)

    assert kinds(found(gateway)) == [kind]
    assert kinds(repaired(gateway).remaining) == ([kind] if plant in FOR_A_PERSON else [])


@pytest.mark.parametrize("odd", INNOCENT)
def test_what_only_looks_odd_is_no_difference(
    shelf: list[Product],
    gateway: ExampleGateway,
    odd: Callable[[Payment, ExampleGateway], None],
) -> None:
    odd(paid_order(shelf[0], gateway), gateway)

    assert found(gateway) == []


def test_books_that_agree_have_no_differences_and_cost_no_call_but_the_lists(
    shelf: list[Product], gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    for method in ("pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"):
        order = placed_order(shelf[0], payment_method=method)
        settle_order(order.number, gateway, clock=timezone.now)
    placed_order(shelf[0])
    sent_back(Payment.objects.get(status="paid"), gateway)
    monkeypatch.setattr(gateway, "retrieve", pytest.fail)
    monkeypatch.setattr(gateway, "refunds_of", pytest.fail)

    assert found(gateway) == []


def test_difference_names_order_gateway_id_and_both_amounts(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    charge_another_currency(payment, gateway)

    [difference] = found(gateway)

    assert (difference.order, difference.gateway_id) == (
        payment.order.number,
        payment.gateway_payment_id,
    )
    assert difference.here == r.Side(state="paid", amount_minor=1001, currency="EUR")
    assert difference.there == r.Side(state="paid", amount_minor=1001, currency="USD")
    assert str(difference.here) == "paid €10.01"


def test_currency_that_nobody_knows_is_still_shown() -> None:
    assert str(r.Side(state="paid", amount_minor=55, currency="QQQ")) == "paid 55 QQQ"


# What is on its way


def test_charge_on_its_way_is_a_difference_after_an_hour(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    charge_not_recorded_yet(paid_order(shelf[0], gateway), gateway)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [r.CHARGED_NOT_PAID]


def test_refund_on_its_way_is_a_difference_after_an_hour(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [r.REFUND_THERE_ONLY]


def test_what_was_opened_within_the_hour_is_no_orphan(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    gateway.clock = timezone.now
    leave_open(payment, gateway)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [r.ORPHAN]


def test_order_that_is_paid_but_for_its_payment_is_told_once(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], gateway)
    Payment.objects.update(status="declined", charged_minor=None)

    assert kinds(found(gateway)) == [r.CHARGED_NOT_PAID]


def test_surplus_of_a_cancelled_order_is_known_to_both(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], gateway)
    Payment.objects.update(is_surplus=True)
    Order.objects.update(status="cancelled")

    assert found(gateway) == []


def test_final_order_awaits_no_payment(shelf: list[Product], gateway: ExampleGateway) -> None:
    order = placed_order(shelf[0])
    payment_without_id(order)
    open_another(order, gateway)
    Order.objects.update(status="cancelled", sweep_at=None)

    assert kinds(found(gateway)) == [r.ORPHAN]


def test_what_the_worker_will_find_by_its_key_is_no_orphan(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = placed_order(shelf[0])
    payment = payment_without_id(order)
    open_another(order, gateway)

    assert found(gateway) == []

    Payment.objects.filter(pk=payment.pk).update(created_at=timezone.now() - r.KEY_LIFE)
    assert kinds(found(gateway)) == [r.ORPHAN]


def payment_without_id(order: Order) -> Payment:
    return Payment.objects.create(
        order=order,
        round=order.payment_round,
        status="processing",
        amount_minor=order.total_minor,
        currency=order.currency,
        payment_method="pm_card_visa",
        created_at=timezone.now() - OLD,
    )


class MovesOn(ExampleGateway):
    """Lists payments, and something happens before the list is compared."""

    happens: Callable[[], object]

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        listed = list(super().list_since(since))
        self.happens()
        return iter(listed)


def test_what_was_paid_while_the_list_was_read_is_no_difference(shelf: list[Product]) -> None:
    gateway = MovesOn(clock=lambda: timezone.now() - OLD)
    orders = [placed_order(shelf[0]) for _ in range(2)]
    payment_id = open_another(orders[0], gateway)
    Payment.objects.filter(pk=payment_without_id(orders[0]).pk).update(
        gateway_payment_id=payment_id
    )

    def both_are_paid() -> None:  # one is in the list as open, the other is not in it
        for order in orders:
            settle_order(order.number, gateway, clock=timezone.now)

    gateway.happens = both_are_paid

    assert found(gateway) == []
    assert set(Order.objects.values_list("status", flat=True)) == {"paid"}


def test_orphan_that_was_closed_while_the_list_was_read_is_no_difference(
    shelf: list[Product],
) -> None:
    gateway = MovesOn(clock=lambda: timezone.now() - OLD, payments={})
    gateway.happens = lambda: None
    order = failed_order(shelf[0], gateway)
    opened = open_another(order, gateway)
    gateway.happens = lambda: gateway.cancel(opened, idempotency_key="close")

    assert found(gateway) == []


# The window


def test_charge_older_than_the_window_and_recorded_in_it_is_no_difference(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    gateway.clock = lambda: timezone.now() - timedelta(days=10)
    payment = paid_order(shelf[0], gateway)
    sent_back(payment, gateway)

    assert found(gateway) == []


def test_books_older_than_the_window_are_left_alone(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    del gateway.payments[payment.gateway_payment_id]
    long_ago = timezone.now() - timedelta(days=10)
    Payment.objects.update(created_at=long_ago)

    assert found(gateway) == []


# Foreign payments


def charge_for(order: OrderIdentity, gateway: ExampleGateway) -> None:
    opened = gateway.open(
        order=order,
        amount_minor=55,
        currency="EUR",
        payment_method="pm_card_visa",
        idempotency_key=f"foreign-{order.number}",
    )
    gateway.confirm(opened.id, return_url="", idempotency_key=f"{opened.id}-confirm")


@pytest.mark.parametrize(
    "number",
    [
        "",
        "INV-2026-7",
        f"999999-{99 - int(check_digits(999999)):02d}",
        f"999999-{check_digits(999999)}",
        f"999999{check_digits(999999)}",
    ],
)
def test_charges_of_another_shop_on_the_same_account_are_left_alone(
    db: None, gateway: ExampleGateway, number: str
) -> None:
    charge_for(OrderIdentity(number=number), gateway)

    assert found(gateway) == []


# Repairs


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
    settle_order(order.number, gateway, clock=timezone.now)

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

    assert kinds(repaired(gateway).remaining) == [r.WRONG_AMOUNT]
    assert books() == before


def test_charge_that_names_another_order_than_its_payment_is_left_to_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment, other = paid_order(shelf[0], gateway), failed_order(shelf[0], gateway)
    charge_unheard(payment, gateway)
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, order=identity_of(other))
    before = books()

    assert kinds(repaired(gateway).remaining) == [r.CHARGED_NOT_PAID]
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

    assert kinds(repaired(gateway).remaining) == [r.CHARGED_NOT_PAID]
    assert books() == before


def test_refund_that_the_worker_owes_an_outcome_is_handed_to_it(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment, age=OLD)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)
    Refund.objects.update(tries=1)
    OutboxMessage.objects.update(published_at=timezone.now())

    assert kinds(repaired(gateway).remaining) == [r.REFUND_THERE_ONLY]

    [message] = OutboxMessage.objects.filter(published_at=None)
    assert message.kind == OutboxMessage.Kind.REFUND
    assert kinds(repaired(gateway).remaining) == [r.REFUND_THERE_ONLY]
    assert OutboxMessage.objects.filter(published_at=None).count() == 1
    settle_refunds(payment.order.number, gateway, clock=timezone.now)
    assert found(gateway) == []


def test_refund_that_was_never_sent_from_here_is_left_to_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    """As after a restored backup: the worker would not look for it, and send it again."""
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment, age=OLD)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)
    OutboxMessage.objects.update(published_at=timezone.now())

    assert kinds(repaired(gateway).remaining) == [r.REFUND_THERE_ONLY]
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
    report = r.reconcile(
        gateway,
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
        return gateway.confirm(opened, return_url="", idempotency_key="late")

    monkeypatch.setattr(gateway, "cancel", charges_first)

    assert kinds(repaired(gateway).remaining) == [r.WRONG_AMOUNT]
    assert books() == before


def test_orphan_that_the_order_waits_for_by_now_is_not_cancelled(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = failed_order(shelf[0], gateway)
    opened = open_another(order, gateway)

    def pays_again_while_the_question_stands(report: r.Report) -> bool:
        Order.objects.update(status="placed", payment_round=2, sweep_at=timezone.now())
        order.refresh_from_db()
        payment_without_id(order)
        Payment.objects.filter(round=2).update(gateway_payment_id=opened)
        return True

    report = r.reconcile(
        gateway,
        since=timezone.now() - SINCE,
        clock=timezone.now,
        may_repair=pays_again_while_the_question_stands,
    )

    assert report.remaining == []
    assert gateway.retrieve(opened).state is GatewayState.OPEN


def confirm_all(gateway: ExampleGateway) -> int:
    for payment_id in list(gateway.payments):
        gateway.confirm(payment_id, return_url="", idempotency_key=f"{payment_id}-late")
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
    assert kinds(report.remaining) == [r.ORPHAN]
    assert repaired(gateway).remaining == []


# The command


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str, err: StringIO | None = None) -> str:
    out = StringIO()
    call_command("reconcile_payments", *arguments, stdout=out, stderr=err or StringIO())
    return out.getvalue()


@pytest.fixture
def command_gateway(gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch) -> ExampleGateway:
    monkeypatch.setattr(
        "payments.management.commands.reconcile_payments.load_gateway", lambda: gateway
    )
    return gateway


def test_command_says_that_the_books_agree(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], command_gateway)

    assert run().startswith("0 differences since ")
    assert json.loads(run("--json"))["differences"] == []


def test_command_names_what_differs_and_exits_with_1(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    charge_another_amount(payment, command_gateway)
    out = StringIO()

    with pytest.raises(CommandError, match="1 differences are for a person") as raised:
        call_command("reconcile_payments", stdout=out)

    assert raised.value.returncode == 1
    for said in (payment.order.number, payment.gateway_payment_id, "paid €10.01", "paid €10.02"):
        assert said in out.getvalue()
    assert r.WRONG_AMOUNT in out.getvalue()


def test_json_tells_each_side_in_minor_units(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    forget(payment, command_gateway)
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("reconcile_payments", "--json", stdout=out)

    report = json.loads(out.getvalue())
    assert report["remaining"] == 1
    assert report["differences"] == [
        {
            "kind": r.PAID_NOT_CHARGED,
            "order": payment.order.number,
            "gateway_id": payment.gateway_payment_id,
            "here": {"state": "paid", "amount_minor": 1001, "currency": "EUR"},
            "there": None,
            "reference": "",
            "repair": "",
            "remains": True,
        }
    ]


def test_command_does_not_repair_without_asking_where_nobody_can_answer(
    shelf: list[Product], command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_unheard(paid_order(shelf[0], command_gateway), command_gateway)
    monkeypatch.setattr(sys, "stdin", StringIO("y\n"))

    with pytest.raises(CommandError, match="Nobody to ask") as raised:
        run("--repair")

    assert raised.value.returncode == 2
    assert Order.objects.get().status == "payment_failed"


def test_command_repairs_without_asking_when_told(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    charge_unheard(paid_order(shelf[0], command_gateway), command_gateway)

    assert "recorded" in run("--repair", "--yes")

    assert Order.objects.get().status == "paid"
    assert run("--repair", "--yes").startswith("0 differences")


@pytest.mark.parametrize(
    ("answer", "status"), [("y\n", "paid"), ("\n", "payment_failed"), ("", "payment_failed")]
)
def test_command_shows_what_it_found_and_does_as_it_is_answered(
    shelf: list[Product],
    command_gateway: ExampleGateway,
    monkeypatch: pytest.MonkeyPatch,
    answer: str,
    status: str,
) -> None:
    payment = paid_order(shelf[0], command_gateway)
    charge_unheard(payment, command_gateway)
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    out, err = StringIO(), StringIO()

    exit_code = 0
    try:
        call_command("reconcile_payments", "--repair", "--json", stdout=out, stderr=err)
    except CommandError as error:
        exit_code = error.returncode

    assert (Order.objects.get().status, exit_code) == (status, 0 if status == "paid" else 1)
    assert payment.order.number in err.getvalue()
    assert err.getvalue().endswith("Repair 1 of 1 differences? [y/N] ")
    assert json.loads(out.getvalue())["remaining"] == exit_code


def test_command_does_not_ask_when_nothing_is_safe(
    shelf: list[Product], command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget(paid_order(shelf[0], command_gateway), command_gateway)
    monkeypatch.setattr(sys, "stdin", Terminal("y\n"))
    err = StringIO()

    with pytest.raises(CommandError, match="for a person"):
        run("--repair", err=err)

    assert err.getvalue() == ""


def test_progress_is_shown_on_a_terminal_alone(
    shelf: list[Product], command_gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], command_gateway)
    terminal, pipe = Terminal(), StringIO()

    run(err=terminal)
    run(err=pipe)

    assert "1 compared" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_gateway_that_does_not_answer_is_not_taken_for_books_that_agree(
    db: None, command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    def silent(since: datetime) -> Iterator[GatewayPayment]:
        raise OutcomeUnknown("timeout")

    monkeypatch.setattr(command_gateway, "list_since", silent)

    with pytest.raises(CommandError, match="could not be asked"):
        run()


@pytest.mark.parametrize(
    "since", ["yesterday", "12", "2026-13-01", "h", "999999d", "0001-01-01", "2999-01-01", "0h"]
)
def test_since_that_cannot_be_read_is_said(command_gateway: ExampleGateway, since: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        run("--since", since)


@pytest.mark.parametrize("since", ["36h", "14d", "2026-11-01"])
def test_since_is_read(db: None, command_gateway: ExampleGateway, since: str) -> None:
    assert "differences since" in run("--since", since)
