"""Money that a bank has promised: no alarm, a question a day, and true sentences until it comes."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
import requests
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import can_be_cancelled
from checkout.orders.mail.words import compose
from checkout.orders.models import AttentionReason, Mail, Order, OutboxMessage
from checkout.orders.money.facts import facts_about
from checkout.orders.operations.shop_state import waiting_too_long
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.paying import can_pay_again
from checkout.orders.states import OrderStatus
from checkout.orders.ways_to_pay.web_side import Hint
from checkout.views.order.status_words import status_words
from payments.gateways.base import OutcomeUnknown
from payments.gateways.load import Gateways
from payments.gateways.mollie.client import MollieGateway
from payments.models import Payment, PaymentAttempt
from payments.receive_hint import receive_hint
from payments.sandbox.mollie.server import MollieSandbox
from payments.sandbox.server import SandboxServer
from payments.settling.settle_order import settle_order
from payments.states import PaymentStatus
from payments.worker.handle import HANDLERS
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.till import Till, only

DAY = timedelta(days=1)

PROMISED_WORDS = "You have not been charged yet: the money is taken from your account once"


@pytest.fixture(autouse=True)
def _shop_with_mollie(settings: Settings) -> None:
    settings.PAYMENT_OFFERS = []
    settings.PAYMENT_GATEWAYS = {"mollie": "payments.gateways.mollie"}
    settings.SHOP_URL = "https://shop.example"


@pytest.fixture
def gateways(mollie_gateway: MollieGateway) -> Gateways:
    return Gateways({"mollie": mollie_gateway})


@pytest.fixture
def chosen(shelf: list[Product], gateways: Gateways) -> Order:
    """Its customer has chosen a way to pay that takes days. The shop does not know that yet."""
    order = placed_order(shelf[0], payment_method="")
    settle_order(order.number, gateways, clock=timezone.now)
    order.refresh_from_db()
    requests.post(order.action_url, data={"status": "pending"}, timeout=5, allow_redirects=False)
    return order


@pytest.fixture
def order(chosen: Order, gateways: Gateways) -> Order:
    """Its bank has promised the money."""
    order = chosen
    settle_order(order.number, gateways, clock=timezone.now)
    OutboxMessage.objects.update(published_at=timezone.now())
    order.refresh_from_db()
    return order


def pass_a_day(gateways: Gateways, now: datetime) -> None:
    """What sweep, publisher and worker do once in a while, at the end of that day."""
    for hour in range(0, 24, 4):
        at = now - DAY + timedelta(hours=hour + 4)
        sweep(now=at)
        expire_unpaid(now=at)
        for message in OutboxMessage.objects.filter(published_at=None, available_at__lte=at):
            OutboxMessage.objects.filter(pk=message.pk).update(published_at=at)
            HANDLERS[message.kind](message.order.number, gateways, clock=lambda at=at: at)


def assert_nothing_is_wrong(order: Order, now: datetime) -> None:
    order.refresh_from_db()
    assert order.status == OrderStatus.PROMISED
    assert order.sweep_at is not None
    assert order.sweep_at > now
    assert Payment.objects.get().status == PaymentStatus.PROMISED
    assert not AttentionReason.objects.exists()
    assert not waiting_too_long(now=now).exists()
    words = status_words(order, facts_about(order), now=now)
    assert words.headline == "Your bank sends us the money"
    assert PROMISED_WORDS in words.sentence
    assert not words.can_pay
    assert not words.is_final
    assert violations(now=now) == []


def silent(*_: object) -> None:
    raise OutcomeUnknown("timeout")


def mails() -> list[str]:
    return list(Mail.objects.order_by("id").values_list("kind", flat=True))


def text_of(kind: Mail.Kind) -> str:
    return str(compose(Mail.objects.get(kind=kind)).body)


LAST_MAIL = {
    OrderStatus.PAID: Mail.Kind.PAID,
    OrderStatus.PAYMENT_FAILED: Mail.Kind.PAYMENT_FAILED,
}


def days_pass(
    order: Order,
    gateways: Gateways,
    days: int,
    bank_says: Callable[[], object],
    becomes: OrderStatus,
) -> None:
    """Nobody is paged on any of these days, and the last one brings the outcome."""
    began = timezone.now()
    assert_nothing_is_wrong(order, began)
    told = text_of(Mail.Kind.PROMISED)
    assert "the money reaches us within some days" in told
    assert PROMISED_WORDS in told

    for passed in range(1, days):
        pass_a_day(gateways, began + passed * DAY)
        assert_nothing_is_wrong(order, began + passed * DAY)
    bank_says()
    pass_a_day(gateways, began + days * DAY)

    order.refresh_from_db()
    assert order.status == becomes
    assert mails() == [Mail.Kind.RECEIVED, Mail.Kind.PROMISED, LAST_MAIL[becomes]]
    assert days <= PaymentAttempt.objects.count() <= 20


ENDS = pytest.mark.parametrize(
    ("days", "becomes"), [(14, OrderStatus.PAID), (9, OrderStatus.PAYMENT_FAILED)]
)


@ENDS
def test_debit_that_takes_days_rings_nobody_and_is_asked_about_once_a_day(
    order: Order, gateways: Gateways, mollie: MollieSandbox, days: int, becomes: OrderStatus
) -> None:
    said = "paid" if becomes is OrderStatus.PAID else "failed"

    days_pass(
        order,
        gateways,
        days,
        lambda: mollie.account.move(Payment.objects.get().gateway_payment_id, said),
        becomes,
    )

    charged = [charge["order"] for charge in mollie.account.charges()]
    assert charged == ([order.number] if said == "paid" else [])


@ENDS
def test_sepa_debit_at_stripe_takes_as_long(
    shelf: list[Product],
    till: Till,
    sandbox: SandboxServer,
    settings: Settings,
    days: int,
    becomes: OrderStatus,
) -> None:
    settings.PAYMENT_GATEWAYS = {"stripe": "payments.gateways.stripe"}
    order = placed_order(shelf[0], payment_method="ctoken_1_sepaDebit")
    till.settle(order)
    OutboxMessage.objects.update(published_at=timezone.now())
    money_came = becomes is OrderStatus.PAID

    days_pass(
        order,
        only(till.gateway),
        days,
        lambda: sandbox.account.end_debit(
            Payment.objects.get().gateway_payment_id, money_came=money_came
        ),
        becomes,
    )

    assert len(till.charges()) == money_came


def test_nobody_can_take_a_promise_back(order: Order) -> None:
    assert not can_be_cancelled(order)
    assert not can_pay_again(order, failed_round=None)
    assert order.expires_at is None


def test_gateway_that_does_not_answer_for_a_day_raises_no_doubt(
    order: Order, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = timezone.now()
    with monkeypatch.context() as patch:
        patch.setattr(MollieGateway, "retrieve", silent)
        pass_a_day(gateways, began + 2 * DAY)
        order.refresh_from_db()
        assert order.status == OrderStatus.PROMISED
        assert Payment.objects.get().status == PaymentStatus.PROMISED
        assert not AttentionReason.objects.exists()

    pass_a_day(gateways, began + 4 * DAY)
    assert_nothing_is_wrong(order, began + 4 * DAY)


def test_promise_after_an_answer_that_was_lost_is_one_payment(
    chosen: Order, gateways: Gateways, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(MollieGateway, "retrieve", silent)
        settle_order(chosen.number, gateways, clock=timezone.now)
    assert Payment.objects.get().status == PaymentStatus.UNKNOWN

    settle_order(chosen.number, gateways, clock=timezone.now)

    assert_nothing_is_wrong(chosen, timezone.now())
    assert PaymentAttempt.objects.filter(step="open").count() == 1


def test_promise_that_the_shop_has_not_heard_of_is_not_cancelled(
    chosen: Order, gateways: Gateways, mollie: MollieSandbox
) -> None:
    HANDLERS["cancel_order"](chosen.number, gateways, clock=timezone.now)

    assert_nothing_is_wrong(chosen, timezone.now())
    mollie.account.move(Payment.objects.get().gateway_payment_id, "paid")
    pass_a_day(gateways, timezone.now() + 2 * DAY)
    chosen.refresh_from_db()
    assert chosen.status == OrderStatus.PAID
    assert not AttentionReason.objects.exists()


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_news_of_a_promise_whose_question_the_queue_lost_is_asked_for_by_the_sweep(
    order: Order, gateways: Gateways, mollie: MollieSandbox, lost: int
) -> None:
    payment, now = Payment.objects.get(), timezone.now()
    mollie.account.move(payment.gateway_payment_id, "paid")
    hint = Hint(
        kind="payment",
        event_id="mollie-1",
        payment_ids=(payment.gateway_payment_id,),
        is_signed=False,
    )
    assert receive_hint(hint, gateway="mollie", now=now)

    later = now
    for _ in range(lost):
        OutboxMessage.objects.update(published_at=later)  # and nobody has received it
        later += timedelta(minutes=20)
        sweep(now=later)
    for message in OutboxMessage.objects.filter(published_at=None):
        HANDLERS[message.kind](message.order.number, gateways, clock=lambda: later)

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
