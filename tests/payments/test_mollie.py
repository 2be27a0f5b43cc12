"""Orders paid on Mollie's page, by one call that opens and redirects, and by unsigned hooks."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
import requests
from django.core.checks import run_checks
from django.test import Client
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.mail.words import compose
from checkout.orders.models import Mail, Order, OutboxMessage
from checkout.orders.paying import pay_again
from checkout.views.order.timeline import timeline
from payments.books.compare import differences
from payments.books.gateway_audit import audit_gateway
from payments.gateways.base import (
    GatewayMisconfigured,
    NotExecuted,
    OutcomeUnknown,
)
from payments.gateways.load import Gateways
from payments.gateways.mollie.client import MollieGateway
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, PaymentAttempt, Refund, WebhookEvent
from payments.receive_hint import PAUSE
from payments.refunds import request_refund
from payments.sandbox.mollie.server import MollieSandbox
from payments.settling.settle_order import settle_order
from payments.states import RefundStatus
from payments.worker.handle import HANDLERS
from tests.support.clock import move_time
from tests.support.factories import placed_order
from tests.support.till import impatient

HOOK = "/payments/webhooks/mollie/"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def _shop_with_mollie(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {
        "mollie": "payments.gateways.mollie",
        "stripe": "payments.gateways.stripe",
    }
    settings.SHOP_URL = "https://shop.example"


@pytest.fixture
def gateways(mollie_gateway: MollieGateway, gateway: StripeGateway) -> Gateways:
    return Gateways({"mollie": mollie_gateway, "stripe": gateway})


@pytest.fixture
def order(shelf: list[Product], gateways: Gateways) -> Order:
    """It waits for its customer on Mollie's page."""
    order = placed_order(shelf[0], payment_method="")
    settle_order(order.number, gateways, clock=timezone.now)
    OutboxMessage.objects.update(published_at=timezone.now(), available_at=timezone.now() - A_WHILE)
    order.refresh_from_db()
    return order


A_WHILE = timedelta(minutes=1)


def deliver(gateways: Gateways) -> None:
    """Each message that waits, once."""
    for message in OutboxMessage.objects.filter(published_at=None).order_by("id"):
        OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
        HANDLERS[message.kind](message.order.number, gateways, clock=timezone.now)


def customer(order: Order, chooses: str) -> requests.Response:
    return requests.post(
        order.action_url, data={"status": chooses}, timeout=5, allow_redirects=False
    )


def hook(*ids: str) -> int:
    body = urlencode({"id": ids}, doseq=True)
    return Client().post(HOOK, body, content_type=FORM).status_code


def test_customer_is_sent_to_mollie_and_comes_back(
    order: Order, mollie: MollieSandbox, gateways: Gateways
) -> None:
    payment = Payment.objects.get()
    assert (order.status, payment.gateway) == ("action_required", "mollie")
    assert order.action_url == f"{mollie.url}/checkout/{payment.gateway_payment_id}"
    assert "No money moves" in requests.get(order.action_url, timeout=5).text

    back = customer(order, "paid").headers["Location"]

    assert back == f"https://shop.example/orders/{order.reference}/?back=mollie"
    Client().get(back.removeprefix("https://shop.example"))
    deliver(gateways)
    order.refresh_from_db()
    assert order.status == "paid"
    assert [charge["order"] for charge in mollie.account.charges()] == [order.number]


def test_hook_has_the_gateway_asked_and_is_believed_in_nothing(
    order: Order, mollie: MollieSandbox, gateways: Gateways
) -> None:
    payment = Payment.objects.get()

    assert hook(payment.gateway_payment_id) == 200  # nobody has paid
    deliver(gateways)
    order.refresh_from_db()
    assert order.status == "action_required"

    OutboxMessage.objects.update(available_at=timezone.now() - A_WHILE)
    customer(order, "paid")
    assert hook(payment.gateway_payment_id) == 200
    deliver(gateways)
    order.refresh_from_db()
    assert order.status == "paid"


def test_story_of_the_order_speaks_of_the_payment(
    order: Order, gateways: Gateways, mollie: MollieSandbox
) -> None:
    mollie.account.move(Payment.objects.get().gateway_payment_id, "failed")
    settle_order(order.number, gateways, clock=timezone.now)

    told = [step.words for step in timeline(Order.objects.get())]

    assert "The order waits for your payment." in told
    assert "The payment was not made." in told
    assert not [words for words in told if "bank" in words]


def test_customer_who_lets_the_page_lie_is_written_about_their_payment(order: Order) -> None:
    mail = compose(Mail.objects.get(kind=Mail.Kind.ACTION_REQUIRED))

    assert mail.subject == f"Order {order.number} waits for your payment"
    assert "The payment of €10.01 is not made yet." in mail.body
    assert "bank" not in mail.body


def test_news_right_after_a_hook_is_asked_about_a_moment_later(
    order: Order, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    move_time(monkeypatch, now)
    payment = Payment.objects.get()
    assert hook(payment.gateway_payment_id) == 200
    deliver(gateways)

    customer(order, "paid")
    assert hook(payment.gateway_payment_id) == 200

    waiting = OutboxMessage.objects.get(published_at=None)
    assert waiting.available_at == now + PAUSE
    deliver(gateways)
    order.refresh_from_db()
    assert order.status == "paid"


def test_hooks_that_anybody_sends_fill_no_table_and_ask_seldom(order: Order) -> None:
    payment = Payment.objects.get()

    told = {hook(payment.gateway_payment_id) for _ in range(50)}
    told |= {hook(f"tr_{number}") for number in range(50)}

    assert told == {200}
    assert WebhookEvent.objects.count() == 1
    assert OutboxMessage.objects.filter(published_at=None).count() == 1


@pytest.mark.parametrize("ids", [[], ["pi_1"], ["tr_1", "tr_2"], ["tr_é"]])
def test_hook_that_names_no_payment_is_refused(ids: list[str], db: None) -> None:
    assert hook(*ids) == 400


@impatient
@pytest.mark.parametrize("fault", ["reset", "500", "silent"])
def test_lost_answer_to_the_call_that_opens_is_asked_for_under_its_key(
    shelf: list[Product], mollie: MollieSandbox, gateways: Gateways, fault: str
) -> None:
    mollie.faults.script(f"open:{fault}")
    order = placed_order(shelf[0], payment_method="")

    settle_order(order.number, gateways, clock=timezone.now)
    settle_order(order.number, gateways, clock=timezone.now)

    assert len(list(gateways.of(Payment.objects.get()).list_since(order.placed_at))) == 1
    order.refresh_from_db()
    assert order.status == "action_required"


def test_payment_opened_again_after_the_key_is_forgotten_is_the_only_one_that_is_offered(
    shelf: list[Product], mollie: MollieSandbox, gateways: Gateways
) -> None:
    """The first one was never told to anybody, so nobody can pay it, and it expires."""
    mollie.faults.script("open:reset")
    order = placed_order(shelf[0], payment_method="")
    settle_order(order.number, gateways, clock=timezone.now)
    mollie.clock.advance(2 * 3600)

    settle_order(order.number, gateways, clock=timezone.now)
    order.refresh_from_db()
    customer(order, "paid")
    settle_order(order.number, gateways, clock=timezone.now)

    assert len(mollie.account.charges()) == 1
    states = {p.state.value for p in gateways.of(Payment.objects.get()).list_since(order.placed_at)}
    assert states == {"paid", "expired"}


ENDS = [("failed", "declined"), ("canceled", "cancelled"), ("expired", "expired")]


@pytest.mark.parametrize(("end", "told"), ENDS)
def test_payment_that_comes_to_nothing_leaves_the_order_to_another_way(
    order: Order, mollie: MollieSandbox, gateways: Gateways, end: str, told: str
) -> None:
    if end == "expired":
        mollie.clock.advance(3600)
    else:
        customer(order, end)
    settle_order(order.number, gateways, clock=timezone.now)
    order.refresh_from_db()
    assert (order.status, Payment.objects.get().status) == ("payment_failed", told)

    now = timezone.now()
    pay_again(order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=now)
    settle_order(order.number, gateways, clock=timezone.now)

    order.refresh_from_db()
    assert order.status == "paid"
    assert mollie.account.charges() == []


def test_bank_that_takes_its_time_is_asked_again_and_is_no_decline(
    order: Order, mollie: MollieSandbox, gateways: Gateways
) -> None:
    customer(order, "pending")
    settle_order(order.number, gateways, clock=timezone.now)
    payment = Payment.objects.get()
    order.refresh_from_db()
    assert (order.status, payment.status) == ("promised", "promised")

    mollie.account.move(payment.gateway_payment_id, "paid")
    settle_order(order.number, gateways, clock=timezone.now)

    order.refresh_from_db()
    assert order.status == "paid"


def test_second_way_while_the_first_is_at_the_bank_is_a_surplus_that_goes_back(
    order: Order, mollie: MollieSandbox, gateways: Gateways
) -> None:
    """Mollie does not cancel what its customer has begun, and they need not wait."""
    customer(order, "pending")
    now = timezone.now()
    pay_again(order, gateway="stripe", payment_method="pm_card_visa", failed_round=None, now=now)
    settle_order(order.number, gateways, clock=timezone.now)
    order.refresh_from_db()
    assert order.status == "paid"

    mollie.account.move(Payment.objects.get(round=1).gateway_payment_id, "paid")
    HANDLERS["check_payment"](order.number, gateways, clock=timezone.now)

    surplus = Payment.objects.get(is_surplus=True)
    assert (surplus.gateway, surplus.taken_minor) == ("mollie", 1001)
    assert Refund.objects.get().status == RefundStatus.PREPARED


def test_refund_is_on_its_way_until_mollie_says_that_it_was_sent(
    order: Order, mollie: MollieSandbox, gateways: Gateways
) -> None:
    customer(order, "paid")
    settle_order(order.number, gateways, clock=timezone.now)
    payment = Payment.objects.select_related("order").get()
    now = timezone.now()
    request_refund(payment, amount_minor=301, reason="Torn", requested_by=None, now=now)
    HANDLERS["refund"](order.number, gateways, clock=timezone.now)
    assert Refund.objects.get().status == RefundStatus.PENDING

    [there] = mollie.account.refunds()
    mollie.account.move_refund(there["id"], "refunded")
    HANDLERS["refund"](order.number, gateways, clock=timezone.now)

    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    later = timezone.now() + timedelta(hours=2)
    assert list(differences(gateways, since=later - timedelta(days=1), now=later)) == []
    assert [f.rows for f in audit_gateway(gateways, now=later) if f.count] == []


def test_list_is_read_page_by_page(gateways: Gateways, mollie: MollieSandbox, db: None) -> None:
    since = timezone.now() - A_WHILE
    ours = dict(gateways.items())["mollie"]
    wanted = {
        "amount": {"currency": "EUR", "value": "1.00"},
        "description": "x",
        "redirectUrl": "https://shop.example/",
    }
    for _ in range(600):
        mollie.account._create(wanted)

    assert len(list(ours.list_since(since))) == 600


def test_key_that_is_refused_is_the_shops_own_trouble(
    shelf: list[Product], mollie: MollieSandbox
) -> None:
    nobody = MollieGateway(api_key="live_stolen", api_base=mollie.url)

    with pytest.raises(GatewayMisconfigured):
        nobody.retrieve("tr_1")


def test_server_that_is_not_there_did_nothing(mollie: MollieSandbox) -> None:
    nowhere = MollieGateway(api_key="test_x", api_base="http://127.0.0.1:9")
    with pytest.raises(NotExecuted):
        nowhere.retrieve("tr_1")

    mollie.faults.script("retrieve:reset")
    here = MollieGateway(api_key="test_x", api_base=mollie.url)
    with pytest.raises(OutcomeUnknown):
        here.retrieve("tr_1")


def test_calls_are_written_down_under_their_keys(order: Order) -> None:
    payment = Payment.objects.get()

    keys = list(PaymentAttempt.objects.values_list("step", "idempotency_key"))

    assert keys == [("open", payment.open_key)]


def test_settings_that_would_cost_money_are_refused(settings: Settings) -> None:
    settings.MOLLIE_API_KEY, settings.MOLLIE_API_BASE = "live_x", "http://127.0.0.1:9"
    settings.SHOP_URL = ""
    import payments.gateways.mollie.checks  # noqa: F401 - registers them

    found = {each.id for each in run_checks() if each.id and each.id.startswith("mollie.")}

    assert found == {"mollie.E003", "mollie.E004"}
