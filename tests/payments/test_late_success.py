"""Paid late, paid twice, or nobody knows: recorded with its order, and put before a person."""

from dataclasses import replace
from datetime import timedelta
from io import StringIO

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import (
    CHARGED_TWICE,
    PAID_AFTER_CANCELLATION,
    UNKNOWN_TOO_LONG,
)
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order
from checkout.orders.paying import pay_again
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from payments.gateways.base import GatewayPayment, GatewayState, OutcomeUnknown
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, Refund
from payments.refunds import approve_refund
from payments.settling.check_order import cancel_order, check_order
from payments.settling.outcomes import record_success
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus, RefundStatus
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.asked import asked
from tests.support.factories import placed_order
from tests.support.shopper import Shopper
from tests.support.till import Till, only


class SaysPaid(FaultyGateway):
    """Tells of every payment it is asked about that it was charged after all."""

    def retrieve(self, payment_id: str) -> GatewayPayment:
        return replace(self.inner.retrieve(payment_id), state=GatewayState.PAID)


@pytest.fixture
def declined(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[-1], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.PAYMENT_FAILED
    return order


@pytest.fixture
def late(gateway: StripeGateway) -> SaysPaid:
    return SaysPaid(gateway)


def check(order: Order, gateway: FaultyGateway) -> Result:
    outcome = check_order(order.number, only(gateway), clock=timezone.now)
    order.refresh_from_db()
    return outcome


def audit() -> str:
    out = StringIO()
    call_command("audit_orders", "--no-gateway", "--no-queue", stdout=out)
    return out.getvalue()


def test_declined_order_whose_charge_shows_up_is_paid(declined: Order, late: SaysPaid) -> None:
    assert check(declined, late) is Result.PAID

    assert (declined.status, declined.needs_person) == (OrderStatus.PAID, "")
    assert not Refund.objects.exists()


def test_cancelled_order_is_revived_while_its_goods_are_there(
    declined: Order, late: SaysPaid
) -> None:
    cancel_unpaid(declined, now=timezone.now())
    assert Product.objects.get(sku="LAST").stock == 1

    check(declined, late)

    assert (declined.status, declined.needs_person) == (OrderStatus.PAID, "")
    assert Product.objects.get(sku="LAST").stock == 0


def test_cancelled_order_whose_goods_are_sold_is_put_before_a_person(
    declined: Order, late: SaysPaid, shelf: list[Product], shopper: Shopper
) -> None:
    cancel_unpaid(declined, now=timezone.now())
    placed_order(shelf[-1])  # the last one goes to somebody else

    check(declined, late)

    assert (declined.status, declined.needs_person) == (
        OrderStatus.CANCELLED,
        PAID_AFTER_CANCELLATION,
    )
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status) == (declined.total_minor, RefundStatus.PREPARED)
    assert Product.objects.get(sku="LAST").stock == 0
    page = shopper.open_link(declined)
    assert "It was not paid in time. A payment for it arrived after it was cancelled." in page.words
    assert "You were charged once" in page.words
    assert "All of it is being sent back to you." in page.words
    assert "not been charged" not in page.words


def paid_twice(order: Order, till: Till, late: SaysPaid) -> None:
    """The second card has paid, and then the first one turns out to be charged as well."""
    pay_again(
        order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=timezone.now()
    )
    till.settle(order)
    check(order, late)


def test_second_charge_is_recorded_and_fails_the_audit(
    declined: Order, late: SaysPaid, till: Till
) -> None:
    paid_twice(declined, till, late)

    assert (declined.status, declined.needs_person) == (OrderStatus.PAID, CHARGED_TWICE)
    first, second = Payment.objects.order_by("round")
    assert (first.is_surplus, second.is_surplus) == (True, False)
    assert Refund.objects.get().payment == first
    with pytest.raises(CommandError):
        audit()


def test_support_finds_what_needs_a_person(
    declined: Order, late: SaysPaid, till: Till, admin_client: Client
) -> None:
    paid_twice(declined, till, late)
    fine = placed_order(Product.objects.get(sku="SKU-01"))

    found = admin_client.get("/admin/orders/order/?attention=person").content.decode()
    page = admin_client.get(f"/admin/orders/order/{declined.pk}/change/").content.decode()

    assert declined.number in found
    assert fine.number not in found
    assert CHARGED_TWICE in page
    assert "(surplus)" in page
    assert "prepared, a person must agree" in page


def test_second_charge_told_again_changes_nothing(
    declined: Order, late: SaysPaid, till: Till
) -> None:
    paid_twice(declined, till, late)
    surplus = Payment.objects.get(is_surplus=True)

    check(declined, late)
    told = late.retrieve(surplus.gateway_payment_id)
    assert not record_success(surplus, told, now=timezone.now())  # another worker, just as late

    assert Refund.objects.count() == 1


def test_prepared_refund_goes_out_when_a_person_agrees_and_once(
    declined: Order, till: Till, late: SaysPaid, gateway: StripeGateway, shelf: list[Product]
) -> None:
    paid_twice(declined, till, late)
    # The sandbox never charged the first card: give it a charge that can be sent back.
    charged = placed_order(shelf[0])
    till.settle(charged)
    other = Payment.objects.get(order=charged)
    surplus = Payment.objects.get(is_surplus=True)
    opened = gateway.open(
        asked(order=identity_of(declined), amount_minor=declined.total_minor),
        idempotency_key="surplus-open",
    )
    gateway.confirm(opened.id, asked(), idempotency_key="surplus-confirm")
    Payment.objects.filter(pk=surplus.pk).update(gateway_payment_id=opened.id)
    person = User.objects.create_user("person")

    refund = Refund.objects.get()
    agreed = [
        approve_refund(refund, approved_by=person, why="Seen", now=timezone.now()) for _ in range(3)
    ]
    till.deliver_messages()

    assert agreed == [True, False, False]
    declined.refresh_from_db()
    assert (declined.status, declined.needs_person) == (OrderStatus.PAID, "")
    assert declined.refunded_minor == 0  # what the order cost was not given back
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert other.refunds.count() == 0
    audit()


def test_outcome_unknown_for_20_hours_is_put_before_a_person_until_it_is_known(
    shelf: list[Product], gateway: StripeGateway, till: Till
) -> None:
    order = placed_order(shelf[0])
    silent = FaultyGateway(gateway, after={"confirm": raising(OutcomeUnknown("timeout"))})
    settle_order(order.number, only(silent), clock=timezone.now)
    silent.before["retrieve"] = raising(OutcomeUnknown("timeout"))
    for hours in (19, 21, 23):
        later = timezone.now() + timedelta(hours=hours)
        settle_order(order.number, only(silent), clock=lambda later=later: later)  # type: ignore[misc] # mypy sees no default
        order.refresh_from_db()
        assert (order.needs_person == UNKNOWN_TOO_LONG) is (hours > 20)
    assert order.status == OrderStatus.PLACED
    assert Payment.objects.get().status == PaymentStatus.UNKNOWN
    with pytest.raises(CommandError):
        audit()

    till.settle(order)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.PAID, "")
    assert len(till.charges()) == 1
    audit()


@pytest.mark.parametrize("by", ["another worker", "an earlier card"])
def test_overtaken_worker_does_not_put_a_settled_order_before_a_person(
    shelf: list[Product], gateway: StripeGateway, till: Till, by: str
) -> None:
    order = placed_order(shelf[0])
    a_day_ago = timezone.now() - timedelta(hours=24)
    begun = FaultyGateway(gateway, before={"open": raising(OutcomeUnknown("timeout"))})
    settle_order(order.number, only(begun), clock=lambda: a_day_ago)

    def overtaken() -> None:
        if by == "another worker":
            Payment.objects.update(lease_until=a_day_ago)
            till.settle(order)
        else:  # whose success leaves the lease of this round's payment alone
            transition(order.pk, OrderStatus.PAID, reason="An earlier card", now=timezone.now())
        raise OutcomeUnknown("timeout")

    slow = FaultyGateway(gateway, after={"confirm": overtaken})
    settle_order(order.number, only(slow), clock=timezone.now)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.PAID, "")


def test_unknown_outcome_is_nobodys_any_more_when_its_payment_is_closed(
    shelf: list[Product], gateway: StripeGateway, till: Till, settings: Settings
) -> None:
    settings.SHOP_URL = "https://shop.example"
    order = placed_order(shelf[0], payment_method="pm_card_authenticationRequired")
    till.settle(order)
    silent = FaultyGateway(gateway, before={"retrieve": raising(OutcomeUnknown("timeout"))})
    later = timezone.now() + timedelta(hours=21)
    settle_order(order.number, only(silent), clock=lambda: later)
    order.refresh_from_db()
    assert order.needs_person == UNKNOWN_TOO_LONG

    cancel_order(order.number, only(gateway), clock=lambda: later + timedelta(hours=4))

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.CANCELLED, "")
