"""Every difference between the books is found, and none that is not there."""

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Order
from checkout.orders.numbers import check_digits
from payments import reconciliation as r
from payments.gateways.base import GatewayState
from payments.gateways.example import ExampleGateway
from payments.models import Payment, Refund
from payments.outcomes import CHARGED_TWICE
from payments.refund_settlement import settle_refunds
from payments.refunds import request_refund
from payments.settlement import settle_order
from payments.states import RefundStatus
from tests.orders.factories import placed_order

ORDERS = 260
DIFFERENCES = 200
SINCE = timedelta(hours=72)


@pytest.fixture
def gateway() -> ExampleGateway:
    return ExampleGateway()


def paid_order(product: Product, gateway: ExampleGateway) -> Payment:
    order = placed_order(product)
    settle_order(order.number, gateway, clock=timezone.now)
    return Payment.objects.get(order=order)


def found(gateway: ExampleGateway, now: datetime | None = None) -> list[r.Difference]:
    now = now or timezone.now()
    return list(r.differences(gateway, since=now - SINCE, now=now))


def told(differences: list[r.Difference]) -> Counter[tuple[str, str]]:
    return Counter((difference.kind, difference.order) for difference in differences)


def charge_unheard(payment: Payment, gateway: ExampleGateway) -> str:
    Payment.objects.filter(pk=payment.pk).update(status="declined", charged_minor=None)
    Order.objects.filter(pk=payment.order_id).update(status="payment_failed")
    return r.CHARGED_NOT_PAID


def charge_twice(payment: Payment, gateway: ExampleGateway) -> str:
    second = open_another(payment, gateway)
    gateway.confirm(second, return_url="", idempotency_key=f"{second}-confirm")
    return r.CHARGED_NOT_PAID


def open_another(payment: Payment, gateway: ExampleGateway) -> str:
    return gateway.open(
        order_number=payment.order.number,
        amount_minor=payment.amount_minor,
        currency="EUR",
        payment_method="pm_card_visa",
        idempotency_key=f"another-{payment.pk}",
    ).id


def leave_open(payment: Payment, gateway: ExampleGateway) -> str:
    open_another(payment, gateway)
    return r.ORPHAN


def never_charge(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, state=GatewayState.CANCELLED)
    return r.PAID_NOT_CHARGED


def forget(payment: Payment, gateway: ExampleGateway) -> str:
    del gateway.payments[payment.gateway_payment_id]
    return r.PAID_NOT_CHARGED


def charge_another_amount(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, amount_minor=theirs.amount_minor + 1)
    return r.WRONG_AMOUNT


def charge_another_currency(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, currency="USD")
    return r.WRONG_AMOUNT


def refund_there(payment: Payment, gateway: ExampleGateway) -> str:
    gateway.refund(
        payment.gateway_payment_id,
        amount_minor=100,
        refund_key="",
        idempotency_key=f"there-{payment.pk}",
    )
    return r.REFUND_THERE_ONLY


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


def sent_back(payment: Payment, gateway: ExampleGateway) -> None:
    request_refund(payment, amount_minor=100, reason="Test", requested_by=None, now=timezone.now())
    settle_refunds(payment.order.number, gateway, clock=timezone.now)


PLANTS: list[Callable[[Payment, ExampleGateway], str]] = [
    charge_unheard,
    charge_twice,
    leave_open,
    never_charge,
    forget,
    charge_another_amount,
    charge_another_currency,
    refund_there,
    refund_here,
    refund_another_amount,
]


def innocent(payment: Payment, gateway: ExampleGateway) -> None:
    """What looks odd and is none: a refund that both know, one that is on its way."""
    if payment.pk % 3 == 0:
        sent_back(payment, gateway)
    elif payment.pk % 3 == 1:
        request_refund(
            payment, amount_minor=5, reason="Test", requested_by=None, now=timezone.now()
        )


def test_two_hundred_planted_differences_are_found_and_no_other(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    chance = random.Random(2026)
    payments = [paid_order(shelf[0], gateway) for _ in range(ORDERS)]
    chance.shuffle(payments)
    expected: Counter[tuple[str, str]] = Counter()
    for number, payment in enumerate(payments[:DIFFERENCES]):
        kind = PLANTS[number % len(PLANTS)](payment, gateway)
        expected[kind, payment.order.number] += 1
    for payment in payments[DIFFERENCES:]:
        innocent(payment, gateway)

    assert told(found(gateway)) == expected
    assert expected.total() == DIFFERENCES

    done = dict(r.repair(gateway, found(gateway), clock=timezone.now))
    remainder = told(found(gateway))

    safe = {r.CHARGED_NOT_PAID, r.ORPHAN, r.REFUND_THERE_ONLY}
    assert remainder == Counter({key: n for key, n in expected.items() if key[0] not in safe})
    assert {bool(what) for difference, what in done.items() if difference.kind in safe} == {True}
    list(r.repair(gateway, found(gateway), clock=timezone.now))
    assert told(found(gateway)) == remainder


def test_books_that_agree_have_no_differences(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    for method in ("pm_card_visa", "pm_card_chargeDeclined", "pm_card_authenticationRequired"):
        order = placed_order(shelf[0], payment_method=method)
        settle_order(order.number, gateway, clock=timezone.now)
    placed_order(shelf[0])

    assert found(gateway) == []


def test_what_is_on_its_way_is_no_difference_until_an_hour_has_passed(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    Payment.objects.update(status="processing", charged_minor=None)
    Order.objects.update(status="placed", sweep_at=timezone.now())

    assert found(gateway) == []
    later = found(gateway, timezone.now() + timedelta(hours=2))
    assert told(later) == Counter({(r.CHARGED_NOT_PAID, payment.order.number): 1})


def charge_for(number: str, gateway: ExampleGateway) -> None:
    opened = gateway.open(
        order_number=number,
        amount_minor=5,
        currency="EUR",
        payment_method="pm_card_visa",
        idempotency_key=f"foreign-{number}",
    )
    gateway.confirm(opened.id, return_url="", idempotency_key=f"{opened.id}-confirm")


def test_charges_of_another_shop_on_the_same_account_are_left_alone(
    db: None, gateway: ExampleGateway
) -> None:
    for number in ("", "INV-2026-7", f"999999-{99 - int(check_digits(999999)):02d}"):
        charge_for(number, gateway)

    assert found(gateway) == []


def test_charge_for_an_order_that_does_not_exist_is_reported(
    db: None, gateway: ExampleGateway
) -> None:
    number = f"999999-{check_digits(999999)}"
    charge_for(number, gateway)

    assert told(found(gateway)) == Counter({(r.NO_SUCH_ORDER, number): 1})


def test_second_charge_is_recorded_and_put_before_a_person(
    shelf: list[Product], gateway: ExampleGateway
) -> None:
    payment = paid_order(shelf[0], gateway)
    charge_twice(payment, gateway)

    list(r.repair(gateway, found(gateway), clock=timezone.now))

    order = Order.objects.get()
    assert (order.status, order.needs_person) == ("paid", CHARGED_TWICE)
    assert Refund.objects.get().status == RefundStatus.PREPARED
    assert found(gateway) == []


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("reconcile_payments", *arguments, stdout=out)
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
    forget(payment, command_gateway)
    out = StringIO()

    with pytest.raises(CommandError, match="1 differences are for a person") as raised:
        call_command("reconcile_payments", stdout=out)

    assert raised.value.returncode == 1
    assert payment.order.number in out.getvalue()
    assert r.PAID_NOT_CHARGED in out.getvalue()


def test_command_repairs_without_asking_only_when_told(
    shelf: list[Product], command_gateway: ExampleGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    charge_unheard(paid_order(shelf[0], command_gateway), command_gateway)

    def nobody(prompt: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    with pytest.raises(CommandError, match="--yes") as raised:
        run("--repair")
    assert raised.value.returncode == 2
    assert Order.objects.get().status == "payment_failed"

    assert "recorded" in run("--repair", "--yes")

    assert Order.objects.get().status == "paid"


@pytest.mark.parametrize("since", ["yesterday", "12", "2026-13-01", "h"])
def test_since_that_cannot_be_read_is_said(command_gateway: ExampleGateway, since: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        run("--since", since)


@pytest.mark.parametrize("since", ["36h", "14d", "2026-11-01"])
def test_since_is_read(db: None, command_gateway: ExampleGateway, since: str) -> None:
    assert "differences since" in run("--since", since)
