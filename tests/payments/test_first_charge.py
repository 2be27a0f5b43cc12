"""One statement stores a first charge, and the longer way row by row: the same rows, whatever
happened to the order while the gateway was asked."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Event
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Model
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.reasons import UNKNOWN_TOO_LONG
from checkout.orders.models import Invoice, InvoiceCounter, Order, WebhookEndpoint
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment
from payments.settling import outcomes
from payments.settling.settle_order import settle_order
from payments.settling.steps.first_charge import store_paid
from payments.states import PaymentStatus
from tests.doubles.gateway import FaultyGateway
from tests.support.factories import placed_order
from tests.support.long import at_length
from tests.support.sellers import SELLER
from tests.support.statements import statements
from tests.support.till import only
from tests.support.waiting import until_somebody_waits, wait_long_for_locks

# Different for any two orders, and no part of what a charge leads to.
OF_ITS_OWN = {
    *("id", "number", "reference", "checkout_id", "message_id", "webhook_id", "sequence"),
    *("gateway_payment_id", "idempotency_key", "key", "lease_token", "action_url", "traceparent"),
}

STORE_PAID = "payments.settling.outcomes.store_paid"

Meanwhile = Callable[[Order], object]


def nothing(order: Order) -> None:
    pass


def a_person_must_look(order: Order) -> None:
    put_before_a_person(order.pk, UNKNOWN_TOO_LONG, now=timezone.now())


def cancelled(order: Order) -> None:
    transition(order.pk, OrderStatus.CANCELLED, reason="Cancelled", now=timezone.now())


def failed(order: Order) -> None:
    transition(order.pk, OrderStatus.PAYMENT_FAILED, reason="Declined", now=timezone.now())


def waits_for_the_customer(order: Order) -> None:
    transition(order.pk, OrderStatus.ACTION_REQUIRED, reason="The bank asks", now=timezone.now())


def paid_by_another(order: Order) -> None:
    transition(order.pk, OrderStatus.PAID, reason="Payment succeeded", now=timezone.now())


def settled_by_another(order: Order) -> None:
    payment = Payment.objects.get(order=order)
    outcomes.move_payment(payment, PaymentStatus.PAID, timezone.now())


def declined_by_another(order: Order) -> None:
    payment = Payment.objects.get(order=order)
    outcomes.move_payment(payment, PaymentStatus.DECLINED, timezone.now())


def paid_by_a_second_card(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(payment_round=2)
    Payment.objects.create(
        order=order,
        gateway="stripe",
        round=2,
        status=PaymentStatus.PAID,
        gateway_payment_id=f"pi_{order.pk}_2",
        amount_minor=order.total_minor,
        currency=order.currency,
        payment_method=order.payment_method,
        charged_minor=order.total_minor,
        created_at=timezone.now(),
    )


def charge_found_at_the_gateway(order: Order) -> None:
    paid_by_a_second_card(order)
    Order.objects.filter(pk=order.pk).update(payment_round=1)


def another_card_is_wanted(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(payment_round=2)


def wanted_cancelled(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(cancelled_by="customer")


def address_corrected(order: Order) -> None:
    Order.objects.filter(pk=order.pk).update(full_name="Ada Byron", sweep_at=timezone.now())


# A card that was declined may be charged all the same, and then the gateway is believed.
AT_ONCE = {nothing, wanted_cancelled, address_corrected, declined_by_another}
MEANWHILE: list[Meanwhile] = [
    *(nothing, a_person_must_look, cancelled, failed, waits_for_the_customer, paid_by_another),
    *(settled_by_another, declined_by_another, paid_by_a_second_card, another_card_is_wanted),
    *(charge_found_at_the_gateway, wanted_cancelled, address_corrected),
]


@pytest.fixture
def endpoints(db: None) -> None:
    WebhookEndpoint.objects.create(url="https://erp.example/all")
    WebhookEndpoint.objects.create(url="https://erp.example/off", is_active=False)
    WebhookEndpoint.objects.create(url="https://erp.example/placed", kinds=["order.placed"])
    WebhookEndpoint.objects.create(url="https://erp.example/gone", removed_at=timezone.now())


def settle(order: Order, gateway: StripeGateway, meanwhile: Meanwhile) -> dict[str, object]:
    """Every row that is there because of the order, when its card was charged."""
    faulty = FaultyGateway(gateway)
    faulty.after["confirm"] = lambda: meanwhile(order)
    now = order.placed_at + timedelta(seconds=2)
    settle_order(order.number, only(faulty), clock=lambda: now)
    rows: dict[str, object] = {"order": told(Order.objects.get(pk=order.pk))}
    payments = Payment.objects.filter(order=order).order_by("pk")
    rows["payments"] = [told(payment) for payment in payments]
    for of, model in ((Order.objects.filter(pk=order.pk), Order), (payments, Payment)):
        for relation in model._meta.related_objects:
            related = relation.related_model._default_manager.filter(
                **{f"{relation.field.name}__in": of}
            )
            rows[f"{model.__name__}.{relation.related_model.__name__}"] = [
                told(row) for row in related.order_by("pk")
            ]
    return rows


def told(row: Model) -> dict[str, Any]:
    """Its fields, and how long after the order was placed everything was."""
    fields = [field for field in row._meta.concrete_fields if field.name not in OF_ITS_OWN]
    return {
        field.attname: getattr(row, field.attname)
        for field in fields
        if not field.is_relation and field.get_internal_type() != "DateTimeField"
    } | {
        field.attname: getattr(row, field.attname) is not None
        for field in fields
        if field.get_internal_type() == "DateTimeField"
    }


def noting(stored: list[bool]) -> Callable[..., Any]:
    """The statement, which notes whether it stored anything."""

    def noted(*args: Any, **kwargs: Any) -> Any:
        answer = store_paid(*args, **kwargs)
        stored.append(answer is not None)
        return answer

    return noted


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("endpoints")
@pytest.mark.parametrize(
    ("meanwhile", "seller"),
    [
        *((meanwhile, SELLER) for meanwhile in MEANWHILE),
        (nothing, None),
        # An invoice more or less is no matter of what happened meanwhile.
        *at_length(*((meanwhile, None) for meanwhile in MEANWHILE if meanwhile is not nothing)),
    ],
)
def test_both_ways_store_the_same(
    shelf: list[Product],
    gateway: StripeGateway,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Meanwhile,
    seller: dict[str, str] | None,
) -> None:
    settings.SELLER = seller
    one, other = placed_order(shelf[0]), placed_order(shelf[0])
    stored: list[bool] = []
    noted = noting(stored)
    monkeypatch.setattr(STORE_PAID, noted)
    at_once = settle(one, gateway, meanwhile)
    monkeypatch.setattr(STORE_PAID, lambda *args, **kwargs: None)
    row_by_row = settle(other, gateway, meanwhile)

    for rows in (at_once, row_by_row):
        for invoice in rows["Order.Invoice"]:  # type: ignore[attr-defined] # a list of rows
            invoice["content"].pop("order")
    assert at_once == row_by_row
    assert stored == [meanwhile in AT_ONCE]
    if meanwhile is nothing:
        assert at_once["order"]["status"] == "paid"  # type: ignore[index] # a row
        assert len(at_once["Order.Invoice"]) == (1 if seller else 0)  # type: ignore[arg-type] # rows
        assert len(at_once["Order.WebhookDelivery"]) == 5  # type: ignore[arg-type] # rows
    if seller and meanwhile in AT_ONCE:
        assert InvoiceCounter.objects.get().last == 2


@pytest.mark.django_db(transaction=True)
def test_first_charge_is_one_statement(shelf: list[Product], gateway: StripeGateway) -> None:
    order = placed_order(shelf[0])
    faulty = FaultyGateway(gateway)
    with statements("") as sent:
        faulty.after["confirm"] = sent.clear
        settle_order(order.number, only(faulty), clock=timezone.now)
        sent = list(sent)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert len(sent) == 1
    assert [attempt.outcome for attempt in order.payments.get().attempts.all()] == ["open", "paid"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("meanwhile", [address_corrected, a_person_must_look, cancelled])
def test_change_that_is_waited_for_is_seen(
    shelf: list[Product],
    gateway: StripeGateway,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Meanwhile,
) -> None:
    """It is under way when the bank answers, and committed while the statement waits."""
    settings.SELLER = SELLER
    order = placed_order(shelf[0])
    faulty = FaultyGateway(gateway)
    asked, may_go_on = Event(), Event()

    def wait() -> None:
        asked.set()
        may_go_on.wait(20)

    faulty.after["confirm"] = wait
    stored: list[bool] = []
    monkeypatch.setattr(STORE_PAID, noting(stored))

    def settle_beside() -> None:
        wait_long_for_locks()
        try:
            settle_order(order.number, only(faulty), clock=timezone.now)
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        settling = pool.submit(settle_beside)
        assert asked.wait(20)
        with transaction.atomic():
            meanwhile(order)
            may_go_on.set()
            until_somebody_waits("waiting for the change")
        settling.result(timeout=20)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert stored == [meanwhile is address_corrected]
    assert order.needs_person == ""
    invoice = Invoice.objects.get()
    assert invoice.content["buyer"]["full_name"] == order.full_name
    if meanwhile is address_corrected:
        assert order.full_name == "Ada Byron"
