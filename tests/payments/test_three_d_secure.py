"""The bank asks the customer: however they answer, come back or stay away, one charge at most."""

from datetime import timedelta
from itertools import pairwise

import pytest
import requests
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import give_up
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.states import OrderStatus
from payments.gateways.base import (
    GatewayError,
    GatewayMisconfigured,
    GatewayState,
    NotExecuted,
)
from payments.models import Payment
from payments.settling.check_order import cancel_order, check_order
from payments.settling.result import Result
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus
from tests.doubles.gateway import FaultyGateway, raising
from tests.payments.test_webhooks import SECRET, event, send
from tests.support.shopper import Answer, Shopper
from tests.support.till import Charge, Till, only

A_DAY_LATER = timedelta(hours=24, seconds=1)


@pytest.fixture(autouse=True)
def _shop(settings: Settings) -> None:
    settings.SHOP_URL = "http://shop.example"
    settings.STRIPE_WEBHOOK_SECRETS = [SECRET]


@pytest.fixture
def asked(shopper: Shopper, till: Till) -> Answer:
    """A purchase whose bank asks: the answer that leads to its order's page."""
    shopper.typed["payment_method"] = "pm_card_authenticationRequired"
    placed = shopper.buy("SKU-01")
    till.deliver_messages()
    return placed


def the_order() -> Order:
    return Order.objects.get()


def at_the_bank(answer: str, url: str = "") -> requests.Response:
    url = url or the_order().action_url
    return requests.post(url, data={"answer": answer}, allow_redirects=False, timeout=10)


def come_back(shopper: Shopper, response: requests.Response) -> Answer:
    address = response.headers["Location"].removeprefix("http://shop.example")
    return shopper.web.get(address)


def tell_by_webhook() -> None:
    payment_id = Payment.objects.latest("round").gateway_payment_id
    assert send(event({"id": payment_id})) == 200


def assert_paid_once(till: Till) -> None:
    order = the_order()
    assert order.status == OrderStatus.PAID
    assert till.charges() == [Charge(order.number, order.total_minor, "EUR")]
    assert order.action_url == ""


def test_order_page_leads_to_the_bank_and_nothing_is_charged(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    page = shopper.look(asked)

    assert the_order().status == OrderStatus.ACTION_REQUIRED
    assert f'href="{the_order().action_url}"' in page.text
    assert "You are charged only if you approve it." in page.words
    assert till.charges() == []
    assert "Do you approve" in requests.get(the_order().action_url, timeout=10).text


def test_customer_comes_back_before_the_webhook(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    back = come_back(shopper, at_the_bank("approve"))
    assert (back.status, back.location) == (302, asked.location)
    till.deliver_messages()

    assert_paid_once(till)
    tell_by_webhook()
    till.deliver_messages()
    assert_paid_once(till)


def test_webhook_comes_before_the_customer(shopper: Shopper, asked: Answer, till: Till) -> None:
    response = at_the_bank("approve")
    tell_by_webhook()
    till.deliver_messages()

    assert_paid_once(till)
    come_back(shopper, response)
    till.deliver_messages()
    assert_paid_once(till)


def test_neither_comes_and_the_sweep_finds_it(asked: Answer, till: Till) -> None:
    at_the_bank("approve")

    till.settle(the_order())  # as a swept message does

    assert_paid_once(till)


def test_answer_of_which_nobody_told_is_known_within_two_minutes(asked: Answer, till: Till) -> None:
    """The return was lost and the webhook is held back, both for good."""
    at_the_bank("approve")

    for seconds in (59, 61):
        sweep(now=the_order().status_changed_at + timedelta(seconds=seconds))
        till.deliver_messages()

    assert_paid_once(till)


def test_customer_at_the_bank_is_asked_about_ever_more_slowly(asked: Answer, till: Till) -> None:
    began = the_order().status_changed_at
    looks = []
    for _ in range(20):
        at = the_order().sweep_at
        assert at
        looks.append((at - began).total_seconds())
        assert sweep(now=at) == 0  # it was not forgotten, and no warning says so
        till.deliver_messages()

    pauses = [later - earlier for earlier, later in pairwise([0, *looks])]
    assert [round(pause) for pause in pauses[:6]] == [60, 60, 120, 240, 480, 900]
    assert {round(pause) for pause in pauses[5:]} == {900}
    assert not the_order().events.filter(kind="swept").exists()
    assert the_order().status == OrderStatus.ACTION_REQUIRED


def test_coming_back_again_and_again_asks_the_gateway_once(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    for _ in range(5):
        shopper.web.get(f"{asked.location}?redirect_status=succeeded")
        OutboxMessage.objects.update(published_at=timezone.now())

    [check] = OutboxMessage.objects.filter(kind="check_payment")
    assert check.generation == 1
    OutboxMessage.objects.filter(pk=check.pk).update(published_at=None)
    till.deliver_messages()
    assert the_order().status == OrderStatus.ACTION_REQUIRED  # the address is not believed


def test_coming_back_to_a_paid_order_asks_nothing(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    response = at_the_bank("approve")
    till.settle(the_order())

    come_back(shopper, response)

    assert not OutboxMessage.objects.filter(kind="check_payment").exists()


def test_refused_payment_is_paid_with_another_card(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    come_back(shopper, at_the_bank("refuse"))
    till.deliver_messages()
    assert the_order().status == OrderStatus.PAYMENT_FAILED
    assert "You have not been charged" in shopper.look(asked).words

    shopper.pay_again(asked.location, "pm_card_visa")
    till.deliver_messages()

    assert_paid_once(till)


def test_refusal_of_a_card_that_was_given_up_meanwhile_leaves_the_order_to_the_next_one(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    at_the_bank("refuse")
    slow = FaultyGateway(
        till.gateway,
        after={"retrieve": lambda: shopper.pay_again(asked.location, "pm_card_visa")},
    )

    check_order(the_order().number, only(slow), clock=timezone.now)

    order = the_order()
    assert (order.status, order.payment_round) == (OrderStatus.PLACED, 2)
    assert Payment.objects.get(round=1).status == PaymentStatus.DECLINED
    assert "An earlier card: " in order.events.latest("id").reason
    till.deliver_messages()
    assert_paid_once(till)


def test_another_card_while_the_bank_waits_closes_the_first(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    bank = the_order().action_url
    shopper.pay_again(asked.location, "pm_card_visa")
    till.deliver_messages()
    assert_paid_once(till)

    at_the_bank("approve", bank)  # the tab with the bank's page is still open
    tell_by_webhook()
    till.deliver_messages()

    assert_paid_once(till)
    first = Payment.objects.get(round=1)
    assert till.gateway.retrieve(first.gateway_payment_id).state is GatewayState.CANCELLED


def test_approved_first_and_another_card_after_is_one_charge(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    at_the_bank("approve")
    shopper.pay_again(asked.location, "pm_card_visa")  # before anybody has told the shop
    till.deliver_messages()

    assert_paid_once(till)


def test_abandoned_payment_is_cancelled_there_then_here_and_its_stock_released(
    asked: Answer, till: Till
) -> None:
    bank = the_order().action_url
    assert expire_unpaid(now=timezone.now()) == 0

    assert expire_unpaid(now=timezone.now() + A_DAY_LATER) == 1
    till.deliver_messages()

    order = the_order()
    assert order.status == OrderStatus.CANCELLED
    assert Product.objects.get(sku="SKU-01").stock == 100_000
    at_the_bank("approve", bank)
    tell_by_webhook()
    till.deliver_messages()
    assert till.charges() == []
    assert the_order().status == OrderStatus.CANCELLED


def test_payment_that_wins_the_race_against_expiry_wins(asked: Answer, till: Till) -> None:
    expire_unpaid(now=timezone.now() + A_DAY_LATER)
    at_the_bank("approve")

    till.deliver_messages()

    assert_paid_once(till)
    assert Product.objects.get(sku="SKU-01").stock == 99_999


def test_expiry_asked_twice_releases_the_stock_once(asked: Answer, till: Till) -> None:
    for hours in (25, 27, 29):
        expire_unpaid(now=timezone.now() + timedelta(hours=hours))
        till.deliver_messages()

    assert Product.objects.get(sku="SKU-01").stock == 100_000


def test_order_being_paid_again_does_not_expire(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    expire_unpaid(now=timezone.now() + A_DAY_LATER)
    shopper.pay_again(asked.location, "pm_card_visa")

    till.deliver_messages()

    assert_paid_once(till)


def test_order_paid_again_during_the_cancellation_is_not_cancelled(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    faulty = FaultyGateway(till.gateway)
    faulty.after["cancel"] = lambda: shopper.pay_again(asked.location, "pm_card_visa")

    cancel_order(the_order().number, only(faulty), clock=timezone.now)

    assert the_order().status == OrderStatus.PLACED
    till.deliver_messages()
    assert_paid_once(till)


def test_late_cancellation_leaves_a_payment_under_way_alone(
    shopper: Shopper, asked: Answer, till: Till
) -> None:
    shopper.pay_again(asked.location, "pm_card_visa")
    busy = FaultyGateway(till.gateway, before={"confirm": raising(NotExecuted("rate_limit"))})
    settle_order(the_order().number, only(busy), clock=timezone.now)
    faulty = FaultyGateway(till.gateway)

    assert (
        cancel_order(the_order().number, only(faulty), clock=timezone.now) is Result.NOTHING_TO_DO
    )

    assert faulty.calls == []
    till.deliver_messages()
    assert_paid_once(till)


@pytest.mark.parametrize("error", [NotExecuted("429"), GatewayMisconfigured("api_key_expired")])
def test_cancellation_that_the_gateway_did_not_grant_is_asked_for_until_it_does(
    asked: Answer, till: Till, error: GatewayError
) -> None:
    """The bank's page is still open, and would charge the card of an order nobody wants."""
    bank = the_order().action_url
    assert give_up(the_order(), now=timezone.now())
    busy = FaultyGateway(till.gateway, before={"cancel": raising(error)})
    OutboxMessage.objects.update(published_at=timezone.now())

    for _ in range(3):
        assert cancel_order(the_order().number, only(busy), clock=timezone.now) is Result.LATER
    [wish] = OutboxMessage.objects.filter(published_at=None)
    assert wish.kind == OutboxMessage.Kind.CANCEL_ORDER
    assert wish.available_at < timezone.now() + timedelta(minutes=2)

    till.deliver_messages()
    at_the_bank("approve", bank)
    assert the_order().status == OrderStatus.CANCELLED
    assert till.charges() == []


def test_payment_whose_outcome_is_unknown_never_expires(shopper: Shopper, till: Till) -> None:
    shopper.typed["payment_method"] = "pm_sandbox_error_after_charge"
    shopper.buy("SKU-01")
    till.settle(the_order())
    assert the_order().status == OrderStatus.PLACED

    assert expire_unpaid(now=timezone.now() + timedelta(days=30)) == 0
