"""A refusal of one payment or refund ends that one, and leaves every other way open."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import REFUSED, UNKNOWN_TO_GATEWAY
from checkout.orders.cancelling import give_up
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.sweep import expire_unpaid
from checkout.orders.paying import pay_again
from checkout.orders.states import OrderStatus
from payments.gateways.base import (
    Gateway,
    GatewayError,
    NoSuchPayment,
    NotExecuted,
    OutcomeUnknown,
    PaymentRefused,
    RefundRefused,
)
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, Refund
from payments.refunds import RefundImpossible, request_refund
from payments.settling.refunds import settle_refunds
from payments.settling.resolve_unknown import resolve_not_charged
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus, RefundStatus
from payments.worker.handle import HANDLERS
from tests.doubles.gateway import Act, FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.till import Till, only

ASKED = "pm_card_authenticationRequired"


@pytest.fixture
def faulty(gateway: StripeGateway) -> FaultyGateway:
    return FaultyGateway(gateway)


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def settle(order: Order, gateway: Gateway) -> Result:
    OutboxMessage.objects.filter(published_at=None).update(published_at=timezone.now())
    outcome = settle_order(order.number, only(gateway), clock=timezone.now)
    order.refresh_from_db()
    return outcome


def deliver(gateway: Gateway) -> None:
    """Each message that waits, once."""
    for message in list(OutboxMessage.objects.filter(published_at=None).order_by("id")):
        OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
        HANDLERS[message.kind](message.order.number, only(gateway), clock=timezone.now)


def pay_with_another_card(order: Order, method: str = "pm_card_visa") -> None:
    assert pay_again(
        order,
        gateway="stripe",
        payment_method=method,
        failed_round=order.payment_round,
        now=timezone.now(),
    )
    order.refresh_from_db()


def once(error: GatewayError) -> Act:
    errors = [error]

    def act() -> None:
        if errors:
            raise errors.pop()

    return act


def another_account(faulty: FaultyGateway) -> None:
    """From now on the key is of an account that knows nothing of what was opened before."""
    for step in ("retrieve", "confirm", "cancel", "refunds", "refund"):
        error: type[GatewayError] = RefundRefused if step == "refund" else NoSuchPayment
        faulty.before[step] = raising(error("resource_missing"))


def test_refused_amount_ends_its_round_and_is_put_before_a_person_once(
    order: Order, faulty: FaultyGateway, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.before["open"] = raising(PaymentRefused("amount_too_small"))

    assert settle(order, faulty) is Result.DECLINED

    assert (order.status, order.needs_person) == (OrderStatus.PAYMENT_FAILED, REFUSED)
    assert "amount_too_small" in order.events.filter(kind="transition").latest("id").reason
    payment = Payment.objects.get()
    assert (payment.status, payment.decline_code) == (PaymentStatus.DECLINED, "amount_too_small")
    assert not OutboxMessage.objects.filter(published_at=None).exists()
    assert [r.levelname for r in caplog.records if r.levelname != "INFO"] == ["ERROR"]
    assert settle(order, faulty) is Result.NOTHING_TO_DO


def test_order_whose_payment_was_refused_is_paid_otherwise(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    faulty.before["open"] = once(PaymentRefused("amount_too_small"))
    settle(order, faulty)

    pay_with_another_card(order)
    assert settle(order, faulty) is Result.PAID

    assert (order.status, order.needs_person) == (OrderStatus.PAID, "")
    assert [charge.order for charge in till.charges()] == [order.number]


def gives_up(order: Order) -> None:
    assert give_up(order, now=timezone.now())


def waits_too_long(order: Order) -> None:
    assert expire_unpaid(now=timezone.now() + timedelta(days=2)) == 1


@pytest.mark.parametrize("step", ["open", "confirm"])
@pytest.mark.parametrize("leaves", [gives_up, waits_too_long])
def test_order_whose_payment_was_refused_is_cancelled(
    order: Order,
    faulty: FaultyGateway,
    till: Till,
    leaves: Callable[[Order], None],
    step: str,
) -> None:
    faulty.before[step] = raising(PaymentRefused("parameter_missing"))
    settle(order, faulty)

    leaves(order)
    deliver(faulty)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.CANCELLED, "")
    assert Product.objects.get(sku="SKU-01").stock == 100_000
    assert till.charges() == []


def test_setting_that_was_wrong_when_the_round_began_is_right_in_the_next(
    shelf: list[Product], settings: Settings, gateway: StripeGateway, till: Till
) -> None:
    """Without SHOP_URL there is no address to come back to, and Stripe wants one."""
    settings.SHOP_URL = ""
    order = placed_order(shelf[0], payment_method=ASKED)
    assert settle(order, gateway) is Result.DECLINED
    assert Payment.objects.get().closed_at is not None

    settings.SHOP_URL = "https://shop.example"
    pay_with_another_card(order, ASKED)

    assert settle(order, gateway) is Result.NEEDS_ACTION
    assert (order.status, order.needs_person) == (OrderStatus.ACTION_REQUIRED, "")


def test_refusal_to_confirm_what_was_charged_before_is_no_decline(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    """An earlier confirm under the same key went through, and its answer was lost."""
    faulty.after["confirm"] = raising(PaymentRefused("idempotency_error"))

    assert settle(order, faulty) is Result.PAID

    assert order.status == OrderStatus.PAID
    assert [charge.order for charge in till.charges()] == [order.number]


def test_refused_payment_that_could_not_be_closed_is_no_decline_yet(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    faulty.before["confirm"] = raising(PaymentRefused("parameter_missing"))
    faulty.before["cancel"] = once(OutcomeUnknown("timeout"))

    assert settle(order, faulty) is Result.LATER
    assert order.status == OrderStatus.PLACED
    assert settle(order, faulty) is Result.DECLINED

    assert order.status == OrderStatus.PAYMENT_FAILED
    assert till.charges() == []


# --- A change of the gateway's account ------------------------------------------------------------


def test_payment_that_was_never_confirmed_ends_with_its_account(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    faulty.before["confirm"] = raising(NotExecuted("429"))
    assert settle(order, faulty) is Result.LATER
    another_account(faulty)

    assert settle(order, faulty) is Result.DECLINED
    assert order.status == OrderStatus.PAYMENT_FAILED
    faulty.before.clear()
    pay_with_another_card(order)
    assert settle(order, faulty) is Result.PAID
    assert len(till.charges()) == 1


@pytest.mark.parametrize("moment", ["before", "after"])
def test_payment_that_may_have_been_charged_in_another_account_is_for_a_person(
    order: Order, faulty: FaultyGateway, moment: str
) -> None:
    getattr(faulty, moment)["confirm"] = raising(OutcomeUnknown("timeout"))
    assert settle(order, faulty) is Result.LATER
    faulty.after.clear()
    another_account(faulty)

    assert settle(order, faulty) is Result.LATER

    assert (order.status, order.needs_person) == (OrderStatus.PLACED, UNKNOWN_TO_GATEWAY)


def test_once_a_person_knows_that_nothing_was_charged_there_the_order_is_paid_otherwise(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    faulty.before["confirm"] = raising(OutcomeUnknown("timeout"))
    settle(order, faulty)
    another_account(faulty)
    settle(order, faulty)

    resolve_not_charged(
        Payment.objects.get(), by="ada", evidence="Not in the old account", now=timezone.now()
    )
    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.PAYMENT_FAILED, "")
    pay_with_another_card(order)
    faulty.before = {"cancel": faulty.before["cancel"]}

    assert settle(order, faulty) is Result.PAID
    assert len(till.charges()) == 1


def test_bank_page_of_another_account_holds_a_cancellation_until_a_person_has_looked(
    shelf: list[Product], faulty: FaultyGateway, settings: Settings
) -> None:
    settings.SHOP_URL = "https://shop.example"
    order = placed_order(shelf[0], payment_method=ASKED)
    assert settle(order, faulty) is Result.NEEDS_ACTION
    another_account(faulty)

    gives_up(order)
    deliver(faulty)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.ACTION_REQUIRED, UNKNOWN_TO_GATEWAY)
    resolve_not_charged(
        Payment.objects.get(), by="ada", evidence="Not in the old account", now=timezone.now()
    )
    deliver(faulty)
    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.CANCELLED, "")


# --- Refunds --------------------------------------------------------------------------------------


def ask(payment: Payment, amount_minor: int) -> Refund:
    return request_refund(
        payment, amount_minor=amount_minor, reason="Torn", requested_by=None, now=timezone.now()
    )


@pytest.fixture
def paid(order: Order, till: Till) -> Payment:
    till.settle(order)
    return Payment.objects.get()


def test_refused_refund_ends_and_the_others_go_on(paid: Payment, faulty: FaultyGateway) -> None:
    refused, other = ask(paid, 100), ask(paid, 200)
    faulty.before["refund"] = once(RefundRefused("parameter_invalid_integer"))

    settle_refunds(paid.order.number, only(faulty), clock=timezone.now)

    refused.refresh_from_db()
    other.refresh_from_db()
    assert (refused.status, refused.failure) == (RefundStatus.FAILED, "parameter_invalid_integer")
    assert other.status == RefundStatus.SUCCEEDED


@pytest.mark.parametrize(
    ("first", "then"),
    [(NotExecuted("429"), RefundStatus.FAILED), (OutcomeUnknown("reset"), RefundStatus.REQUESTED)],
)
def test_refund_of_a_charge_in_another_account_ends_unless_it_may_have_been_sent(
    paid: Payment, faulty: FaultyGateway, first: GatewayError, then: RefundStatus
) -> None:
    refund = ask(paid, 100)
    faulty.before["refund"] = raising(first)
    settle_refunds(paid.order.number, only(faulty), clock=timezone.now)
    another_account(faulty)

    settle_refunds(paid.order.number, only(faulty), clock=timezone.now)

    refund.refresh_from_db()
    assert refund.status == then


def test_refund_that_the_gateway_has_no_amount_for_is_not_asked_for(paid: Payment) -> None:
    Payment.objects.update(amount_minor=10_000, charged_minor=10_000, currency="KWD")

    with pytest.raises(RefundImpossible, match=r"in steps of KWD.?0\.010"):
        ask(paid, 5124)

    assert ask(paid, 5120).amount_minor == 5120
