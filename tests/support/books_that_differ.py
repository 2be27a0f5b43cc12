"""Shops whose books differ from the gateway's, and ask to compare and repair them."""

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.numbers import check_digits
from payments.books.compare import (
    CHARGED_NOT_PAID,
    LOST_ORDER,
    ORPHAN,
    PAID_NOT_CHARGED,
    REFUND_CAME_BACK,
    REFUND_DIFFERS,
    REFUND_HERE_ONLY,
    REFUND_THERE_ONLY,
    WRONG_AMOUNT,
    Difference,
    differences,
)
from payments.books.repair import Report, reconcile
from payments.gateways.base import (
    GatewayState,
    RefundState,
)
from payments.gateways.example.client import ExampleGateway
from payments.models import Payment, Refund
from payments.refunds import request_refund
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from tests.support.asked import asked
from tests.support.factories import placed_order
from tests.support.till import only

SINCE = timedelta(hours=72)
OLD = timedelta(hours=2)

SERIAL = itertools.count()


def paid_order(product: Product, gateway: ExampleGateway) -> Payment:
    order = placed_order(product)
    settle_order(order.number, only(gateway), clock=timezone.now)
    return Payment.objects.get(order=order)


def failed_order(product: Product, gateway: ExampleGateway) -> Order:
    order = placed_order(product, payment_method="pm_card_chargeDeclined")
    settle_order(order.number, only(gateway), clock=timezone.now)
    order.refresh_from_db()
    return order


def found(gateway: ExampleGateway, now: datetime | None = None) -> list[Difference]:
    now = now or timezone.now()
    return list(differences(only(gateway), since=now - SINCE, now=now))


def repaired(gateway: ExampleGateway) -> Report:
    since = timezone.now() - SINCE
    return reconcile(only(gateway), since=since, clock=timezone.now, may_repair=lambda report: True)


def told(differences: list[Difference]) -> Counter[tuple[str, str]]:
    return Counter((difference.kind, difference.order) for difference in differences)


def kinds(differences: list[Difference]) -> list[str]:
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
    return CHARGED_NOT_PAID


def charge_an_order_that_is_not_paid(payment: Payment, gateway: ExampleGateway) -> str:
    Order.objects.filter(pk=payment.order_id).update(status="payment_failed")
    return CHARGED_NOT_PAID


def charge_twice(payment: Payment, gateway: ExampleGateway) -> str:
    charge_another(payment.order, gateway)
    return CHARGED_NOT_PAID


def charge_another(order: Order, gateway: ExampleGateway, amount_minor: int | None = None) -> str:
    opened = open_another(order, gateway, amount_minor)
    gateway.confirm(opened, asked(), idempotency_key=f"{opened}-confirm")
    return opened


def open_another(
    order: Order,
    gateway: ExampleGateway,
    amount_minor: int | None = None,
    payment_method: str = "pm_card_visa",
) -> str:
    return gateway.open(
        asked(
            payment_method, order=identity_of(order), amount_minor=amount_minor or order.total_minor
        ),
        idempotency_key=f"another-{next(SERIAL)}",
    ).id


def leave_open(payment: Payment, gateway: ExampleGateway) -> str:
    open_another(payment.order, gateway)
    return ORPHAN


def leave_at_the_bank(payment: Payment, gateway: ExampleGateway) -> str:
    opened = open_another(payment.order, gateway, payment_method="pm_card_authenticationRequired")
    gateway.confirm(opened, asked(), idempotency_key=f"{opened}-confirm")
    return ORPHAN


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
    return ORPHAN


def never_charge(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, state=GatewayState.CANCELLED)
    return PAID_NOT_CHARGED


def forget(payment: Payment, gateway: ExampleGateway) -> str:
    del gateway.payments[payment.gateway_payment_id]
    return PAID_NOT_CHARGED


def pay_without_payment(payment: Payment, gateway: ExampleGateway) -> str:
    never_charge(payment, gateway)
    Payment.objects.filter(pk=payment.pk).update(status="cancelled", charged_minor=None)
    return PAID_NOT_CHARGED


def charge_another_amount(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, amount_minor=theirs.amount_minor + 1)
    return WRONG_AMOUNT


def charge_another_currency(payment: Payment, gateway: ExampleGateway) -> str:
    theirs = gateway.payments[payment.gateway_payment_id]
    gateway.payments[theirs.id] = replace(theirs, currency="USD")
    return WRONG_AMOUNT


def charge_too_little_unheard(payment: Payment, gateway: ExampleGateway) -> str:
    charge_another(payment.order, gateway, amount_minor=55)
    return WRONG_AMOUNT


def refund_there(payment: Payment, gateway: ExampleGateway) -> str:
    refund_at_the_gateway(payment.gateway_payment_id, gateway)
    return REFUND_THERE_ONLY


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
    return REFUND_HERE_ONLY


def refund_another_amount(payment: Payment, gateway: ExampleGateway) -> str:
    sent_back(payment, gateway)
    theirs = gateway.refunds_of(payment.gateway_payment_id)[0]
    gateway.refunds[theirs.id] = replace(theirs, amount_minor=theirs.amount_minor + 1)
    return REFUND_DIFFERS


def fail_a_refund_late(payment: Payment, gateway: ExampleGateway) -> str:
    sent_back(payment, gateway)
    theirs = gateway.refunds_of(payment.gateway_payment_id)[0]
    gateway.refunds[theirs.id] = replace(theirs, state=RefundState.FAILED)
    return REFUND_CAME_BACK


def charge_for(order: OrderIdentity, gateway: ExampleGateway) -> None:
    opened = gateway.open(
        asked(order=order, amount_minor=55),
        idempotency_key=f"foreign-{order.number}",
    )
    gateway.confirm(opened.id, asked(), idempotency_key=f"{opened.id}-confirm")


def lose_the_order(payment: Payment, gateway: ExampleGateway) -> str:
    """A charge for an order of ours that the database does not have."""
    lost = OrderIdentity(
        number=number_of_nobody(payment.pk),
        reference=f"lost-{payment.pk}",
        installation=installation_id(),
    )
    charge_for(lost, gateway)
    return LOST_ORDER


def number_of_nobody(serial: int) -> str:
    return f"{900_000 + serial}-{check_digits(900_000 + serial)}"


def sent_back(payment: Payment, gateway: ExampleGateway) -> None:
    ask_for_refund(payment)
    settle_refunds(payment.order.number, only(gateway), clock=timezone.now)


def ask_for_refund(payment: Payment, *, age: timedelta = timedelta(0)) -> Refund:
    now = timezone.now() - age
    return request_refund(payment, amount_minor=100, reason="Test", requested_by=None, now=now)


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
