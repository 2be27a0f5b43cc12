"""A shop with several gateways: each payment stays with its own, whatever the shop does later."""

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.gateways import gateway_names
from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import UNKNOWN_TOO_LONG
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.paying import pay_again
from payments.books.compare import CHARGED_NOT_PAID, PAID_NOT_CHARGED, differences
from payments.books.gateway_audit import audit_gateway
from payments.books.repair import reconcile
from payments.gateways.base import (
    Abilities,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    OutcomeUnknown,
    RefundState,
)
from payments.gateways.example.client import ExampleGateway
from payments.gateways.load import Gateways
from payments.gateways.stripe.client import StripeGateway
from payments.models import GatewayRefusal, Payment, Refund
from payments.refunds import RefundImpossible, request_refund
from payments.settling.check_order import check_order
from payments.settling.refunds import settle_refunds
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from payments.states import RefundStatus
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.till import Till, only

ROOT = Path(__file__).resolve().parents[2]

A_YEAR = timedelta(days=366)


@pytest.fixture(autouse=True)
def _shop_with_both(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {
        "example": "payments.gateways.example",
        "stripe": "payments.gateways.stripe",
    }


def placed(
    product: Product, gateway: str = "stripe", payment_method: str = "pm_card_visa"
) -> Order:
    order = placed_order(product, payment_method=payment_method)
    order.gateway = gateway
    order.save(update_fields=["gateway"])
    return order


@pytest.fixture
def example() -> ExampleGateway:
    return ExampleGateway()


@pytest.fixture
def both(example: ExampleGateway, gateway: StripeGateway) -> Gateways:
    """Stripe was the shop's first gateway, and is its second by now."""
    return Gateways({"example": example, "stripe": gateway})


@pytest.fixture
def old_payment(shelf: list[Product], till: Till) -> Payment:
    """Paid a year ago, when the shop had Stripe alone."""
    till.settle(placed(shelf[0]))
    Payment.objects.update(created_at=timezone.now() - A_YEAR)
    return Payment.objects.select_related("order").get()


def test_new_payment_is_made_by_the_first_gateway(
    shelf: list[Product], both: Gateways, example: ExampleGateway
) -> None:
    order = placed(shelf[0], gateway="")

    assert settle_order(order.number, both, clock=timezone.now) is Result.PAID
    payment = Payment.objects.get()
    assert (payment.gateway, [*example.payments]) == ("example", [payment.gateway_payment_id])


def test_payment_is_made_by_the_gateway_that_its_order_names(
    shelf: list[Product], both: Gateways, till: Till
) -> None:
    order = placed(shelf[0], gateway="stripe")

    settle_order(order.number, both, clock=timezone.now)

    assert [charge.order for charge in till.charges()] == [order.number]


def test_old_payment_is_refunded_where_it_was_made(
    old_payment: Payment, both: Gateways, gateway: StripeGateway, example: ExampleGateway
) -> None:
    now = timezone.now()
    request_refund(old_payment, amount_minor=300, reason="Torn", requested_by=None, now=now)

    settled = settle_refunds(old_payment.order.number, both, clock=timezone.now)

    assert settled is Result.REFUNDED
    [refund] = gateway.refunds_of(old_payment.gateway_payment_id)
    assert (refund.state, refund.amount_minor) == (RefundState.SUCCEEDED, 300)
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert example.refunds == {}


def test_books_of_all_gateways_are_compared_and_repaired(
    old_payment: Payment, shelf: list[Product], both: Gateways, example: ExampleGateway
) -> None:
    orders = [placed(shelf[1], "example"), placed(shelf[2], "stripe")]
    for order in orders:
        settle_order(order.number, both, clock=timezone.now)
    # The database forgets both outcomes, as after a crash of long ago.
    lost = Payment.objects.filter(order__in=orders)
    lost.update(status="unknown", charged_minor=None, created_at=timezone.now() - timedelta(days=1))
    for order in orders:
        type(order).objects.filter(pk=order.pk).update(status="placed", sweep_at=timezone.now())
    since, now = timezone.now() - 2 * A_YEAR, timezone.now()

    found = list(differences(both, since=since, now=now))
    report = reconcile(both, since=since, clock=timezone.now, may_repair=lambda report: True)

    assert {(difference.gateway, difference.kind) for difference in found} == {
        ("example", CHARGED_NOT_PAID),
        ("stripe", CHARGED_NOT_PAID),
    }
    assert report.remaining == []
    assert {payment.status for payment in Payment.objects.all()} == {"paid"}
    assert [f.rows for f in audit_gateway(both, now=timezone.now()) if f.count] == []


def test_gateway_that_was_taken_out_stops_its_own_payments_alone(
    old_payment: Payment, shelf: list[Product], example: ExampleGateway, settings: Settings
) -> None:
    settings.PAYMENT_GATEWAYS = {"example": "payments.gateways.example"}
    without = Gateways({"example": example})
    other = placed(shelf[1], "example")

    asked = check_order(old_payment.order.number, without, clock=timezone.now)

    assert asked is Result.LATER
    refusal = GatewayRefusal.objects.get()
    assert (refusal.gateway, refusal.ended_at) == ("stripe", None)
    now = timezone.now()
    with pytest.raises(RefundImpossible, match="which PAYMENT_GATEWAYS does not name"):
        request_refund(old_payment, amount_minor=1, reason="Torn", requested_by=None, now=now)
    assert settle_order(other.number, without, clock=timezone.now) is Result.PAID
    assert GatewayRefusal.objects.get().ended_at is None  # what another one answers ends nothing


def test_order_on_its_way_to_a_gateway_that_was_taken_out_waits_for_it(
    shelf: list[Product], both: Gateways, example: ExampleGateway, till: Till
) -> None:
    order, without = placed(shelf[0], "stripe"), Gateways({"example": example})

    asked = [settle_order(order.number, without, clock=timezone.now) for _ in range(3)]

    assert asked == [Result.LATER] * 3
    assert OutboxMessage.objects.filter(published_at=None).count() == 1
    assert [row.gateway for row in GatewayRefusal.objects.filter(ended_at=None)] == ["stripe"]
    # The gateway is there again.
    assert settle_order(order.number, both, clock=timezone.now) is Result.PAID
    assert [charge.order for charge in till.charges()] == [order.number]


def test_audit_goes_on_without_a_gateway_that_was_taken_out(
    old_payment: Payment, example: ExampleGateway
) -> None:
    """It believes our own books of a charge too many: nobody else can be asked."""
    Payment.objects.update(is_surplus=True)
    without = Gateways({"example": example})

    def found() -> list[str]:
        return [row for each in audit_gateway(without, now=timezone.now()) for row in each.rows]

    assert [old_payment.gateway_payment_id in row for row in found()] == [True]
    Refund.objects.create(
        payment=old_payment,
        amount_minor=old_payment.taken_minor,
        status=RefundStatus.SUCCEEDED,
        reason="Surplus",
        created_at=timezone.now(),
        settled_at=timezone.now(),
    )
    assert found() == []


def test_refusal_of_one_gateway_slows_no_other(
    shelf: list[Product], gateway: StripeGateway, example: ExampleGateway
) -> None:
    refused = FaultyGateway(gateway, before={"open": raising(GatewayMisconfigured("expired"))})
    gateways = Gateways({"example": example, "stripe": refused})
    orders = [placed(shelf[0], "stripe"), placed(shelf[1], "example")]

    results = [settle_order(order.number, gateways, clock=timezone.now) for order in orders]

    assert results == [Result.LATER, Result.PAID]
    assert [row.gateway for row in GatewayRefusal.objects.filter(ended_at=None)] == ["stripe"]


def test_payment_that_the_release_before_begins_has_the_gateway_of_then(
    shelf: list[Product], till: Till, both: Gateways
) -> None:
    """It knows no such column, so the database fills it in, and this release goes on with it."""
    order = placed(shelf[0])
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO payments_payment (order_id, round, status, amount_minor, currency,"
            " payment_method, idempotency_key, gateway_payment_id, decline_code, tries, created_at)"
            " VALUES (%s, 1, 'processing', %s, 'EUR', 'pm_card_visa', 'key', '', '', 0, now())",
            [order.pk, order.total_minor],
        )

    assert Payment.objects.get().gateway == "stripe"
    assert settle_order(order.number, both, clock=timezone.now) is Result.PAID
    assert [charge.order for charge in till.charges()] == [order.number]


class Hesitates(ExampleGateway):
    """Cannot cancel what its customer has begun to pay, and lists nothing."""

    abilities = Abilities(remembers_keys_for=timedelta(hours=1), lists=False, cancels=False)

    def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
        return self.retrieve(payment_id)

    def list_since(self, since: datetime) -> Iterator[GatewayPayment]:
        raise AssertionError("It was asked for a list.")

    def customer_pays(self, payment_id: str) -> None:
        self.payments[payment_id] = replace(self.payments[payment_id], state=GatewayState.PAID)


@pytest.fixture
def hesitates() -> Hesitates:
    return Hesitates()


def asked_first(order: Order, hesitates: Hesitates) -> str:
    """The id of a payment that waits for its customer, who then takes another card."""
    settle_order(order.number, only(hesitates), clock=timezone.now)
    [payment_id] = hesitates.payments
    now = timezone.now()
    pay_again(order, gateway="stripe", payment_method="pm_card_visa", failed_round=None, now=now)
    return payment_id


def test_customer_of_a_gateway_that_does_not_cancel_pays_by_another_card_at_once(
    shelf: list[Product], hesitates: Hesitates
) -> None:
    order = placed(shelf[0], payment_method="pm_card_authenticationRequired")
    first = asked_first(order, hesitates)

    assert settle_order(order.number, only(hesitates), clock=timezone.now) is Result.PAID

    hesitates.customer_pays(first)
    check_order(order.number, only(hesitates), clock=timezone.now)
    surplus = Payment.objects.get(gateway_payment_id=first)
    assert (surplus.status, surplus.is_surplus) == ("paid", True)
    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor) == (RefundStatus.PREPARED, order.total_minor)


def test_gateway_that_cancels_is_waited_for(shelf: list[Product], hesitates: Hesitates) -> None:
    order = placed(shelf[0], payment_method="pm_card_authenticationRequired")
    asked_first(order, hesitates)
    hesitates.abilities = replace(hesitates.abilities, cancels=True)

    assert settle_order(order.number, only(hesitates), clock=timezone.now) is Result.LATER
    assert len(hesitates.payments) == 1


def test_books_of_a_gateway_without_lists_are_compared_by_id(
    shelf: list[Product], hesitates: Hesitates
) -> None:
    orders = [placed(product) for product in shelf[:2]]
    for order in orders:
        settle_order(order.number, only(hesitates), clock=timezone.now)
    forgotten = Payment.objects.get(order=orders[0])
    del hesitates.payments[forgotten.gateway_payment_id]

    now = timezone.now()
    found = list(differences(only(hesitates), since=now - A_YEAR, now=now))

    assert [(d.kind, d.gateway_id) for d in found] == [
        (PAID_NOT_CHARGED, forgotten.gateway_payment_id)
    ]


def test_unknown_outcome_is_put_before_a_person_before_the_gateway_forgets_the_key(
    shelf: list[Product], hesitates: Hesitates
) -> None:
    order = placed(shelf[0])
    silent = FaultyGateway(hesitates, after={"confirm": raising(OutcomeUnknown("timeout"))})
    settle_order(order.number, only(silent), clock=timezone.now)
    silent.before["retrieve"] = raising(OutcomeUnknown("timeout"))

    def asked_after(minutes: int) -> str:
        later = timezone.now() + timedelta(minutes=minutes)
        settle_order(order.number, only(silent), clock=lambda: later)
        order.refresh_from_db()
        return str(order.needs_person)

    assert asked_after(45) == ""
    assert asked_after(51) == UNKNOWN_TOO_LONG


@pytest.mark.django_db
def test_address_of_a_gateway_that_the_shop_has_not_or_that_sends_nothing_is_no_page() -> None:
    assert Client().post("/payments/webhooks/nobody/").status_code == 404
    assert Client().post("/payments/webhooks/example/").status_code == 404


def test_commands_ask_all_gateways(
    old_payment: Payment, both: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Gateways, "load", lambda: both)

    call_command("reconcile_payments", "--since", "800d")
    call_command("audit_orders", "--no-queue")


# What only a gateway's own package, and the sandbox that stands in for one, may say.
OURS = [path.name for path in sorted((ROOT / "payments" / "gateways").iterdir()) if path.is_dir()]
THEIRS = ["pm_", "pi_", "tr_", "sk_test", "redirect_status", "payment_intent"]
OWN_ROOMS = ("payments/gateways/", "payments/sandbox/")
# Shoppers who pay at the gateways' pages, and the workflows of other shops, are no part of ours.
OTHERS = ("config/local/crowd/", "config/local/designs/")
READ = {".py", ".html", ".js", ".css", ".txt"}


def names_in(text: str) -> set[str]:
    names = [name for name in OURS if name not in {"example", "__pycache__"}]
    words = rf"(?i)\b({'|'.join(names)})|(?<![a-z_])({'|'.join(THEIRS)})"
    return {match.group().lower() for match in re.finditer(words, text)}


def test_nothing_else_of_the_product_names_a_gateway() -> None:
    found = {
        f"{path.relative_to(ROOT)}: {', '.join(sorted(names))}"
        for room in ("checkout", "config", "payments")
        for path in (ROOT / room).rglob("*")
        if path.suffix in READ
        and not str(path.relative_to(ROOT)).startswith((*OWN_ROOMS, *OTHERS))
        and "__pycache__" not in path.parts
        and (names := names_in(path.read_text()))
    }

    assert found == set()


@pytest.mark.parametrize("said", ["Stripe docs", "STRIPE_SECRET_KEY", '"pm_card_visa"'])
def test_search_finds_a_gateways_name(said: str) -> None:
    assert names_in(f"x = 1  # {said}")


def test_names_are_in_the_order_of_the_setting() -> None:
    assert gateway_names() == ["example", "stripe"]
