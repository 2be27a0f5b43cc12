"""Every difference between the books is found, and none that is not there."""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order
from checkout.orders.numbers import check_digits
from payments.books.compare import CHARGED_NOT_PAID, ORPHAN, REFUND_THERE_ONLY, Side
from payments.gateways.base import (
    GatewayPayment,
)
from payments.gateways.example.client import ExampleGateway
from payments.models import Payment
from payments.settling.settle_order import settle_order
from tests.support.books_that_differ import (
    FOR_A_PERSON,
    INNOCENT,
    OLD,
    PLANTS,
    ask_for_refund,
    books,
    charge_another_currency,
    charge_for,
    charge_not_recorded_yet,
    failed_order,
    found,
    kinds,
    leave_open,
    lose_the_order,
    number_of_nobody,
    open_another,
    paid_order,
    payment_without_id,
    refund_at_the_gateway,
    repaired,
    sent_back,
    told,
)
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.till import only

# So few have each kind among them.
FEW = (60, 40)
ORDERS, DIFFERENCES = 300, 200


@pytest.mark.timeout(400)
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
        settle_order(order.number, only(gateway), clock=timezone.now)
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
    assert difference.here == Side(state="paid", amount_minor=1001, currency="EUR")
    assert difference.there == Side(state="paid", amount_minor=1001, currency="USD")
    assert str(difference.here) == "paid €10.01"


def test_currency_that_nobody_knows_is_still_shown() -> None:
    assert str(Side(state="paid", amount_minor=55, currency="QQQ")) == "paid 55 QQQ"


# What is on its way


def test_charge_on_its_way_is_a_difference_after_an_hour(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    charge_not_recorded_yet(paid_order(shelf[0], gateway), gateway)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [CHARGED_NOT_PAID]


def test_refund_on_its_way_is_a_difference_after_an_hour(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    refund = ask_for_refund(payment)
    refund_at_the_gateway(payment.gateway_payment_id, gateway, refund_key=refund.key)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [REFUND_THERE_ONLY]


def test_what_was_opened_within_the_hour_is_no_orphan(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    gateway.clock = timezone.now
    leave_open(payment, gateway)

    assert found(gateway) == []
    assert kinds(found(gateway, timezone.now() + OLD)) == [ORPHAN]


def test_order_that_is_paid_but_for_its_payment_is_told_once(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    paid_order(shelf[0], gateway)
    Payment.objects.update(status="declined", charged_minor=None)

    assert kinds(found(gateway)) == [CHARGED_NOT_PAID]


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

    assert kinds(found(gateway)) == [ORPHAN]


def test_what_the_worker_will_find_by_its_key_is_no_orphan(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    order = placed_order(shelf[0])
    payment = payment_without_id(order)
    open_another(order, gateway)

    assert found(gateway) == []

    forgotten = timezone.now() - gateway.abilities.remembers_keys_for
    Payment.objects.filter(pk=payment.pk).update(created_at=forgotten)
    assert kinds(found(gateway)) == [ORPHAN]


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
            settle_order(order.number, only(gateway), clock=timezone.now)

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
