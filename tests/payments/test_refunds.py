"""Money goes back once, by a person's wish, and never more than came."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
import requests
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import REFUND_FAILED
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.outbox.sweep import sweep
from checkout.orders.states import OrderStatus
from payments.gateways.base import (
    GatewayMisconfigured,
    GatewayRefund,
    NotExecuted,
    OutcomeUnknown,
    RefundRefused,
    RefundState,
)
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, Refund
from payments.refunds import RefundImpossible, request_refund
from payments.sandbox.server import SandboxServer
from payments.settling.gateway_calls import Calls
from payments.settling.refunds import settle_refunds, take_over_refunds
from payments.settling.result import Result
from payments.states import RefundStatus
from payments.worker.handle import HANDLERS
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.factories import placed_order
from tests.support.shopper import Shopper, read_form
from tests.support.till import Till, only

TOTAL = 1001


@pytest.fixture
def payment(shelf: list[Product], till: Till) -> Payment:
    till.settle(placed_order(shelf[0]))
    return Payment.objects.get()


def ask(payment: Payment, amount_minor: int) -> Refund:
    return request_refund(
        payment,
        amount_minor=amount_minor,
        reason="A page was missing",
        requested_by=None,
        now=timezone.now(),
    )


def settle(payment: Payment, gateway: FaultyGateway | StripeGateway) -> Result:
    return settle_refunds(payment.order.number, only(gateway), clock=timezone.now)


def sent_back(sandbox: SandboxServer) -> list[int]:
    ledger = requests.get(f"{sandbox.url}/sandbox/ledger", timeout=10).json()
    return [refund["amount"] for refund in ledger["refunds"]]


def test_whole_refund_is_sent_back_and_the_shopper_sees_it(
    payment: Payment, till: Till, sandbox: SandboxServer, shopper: Shopper
) -> None:
    ask(payment, TOTAL)
    till.deliver_messages()

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.REFUNDED, TOTAL)
    assert order.sweep_at is None
    assert sent_back(sandbox) == [TOTAL]
    page = shopper.open_link(order)
    assert "All of it was sent back to you" in page.words


def test_parts_add_up(
    payment: Payment, till: Till, sandbox: SandboxServer, shopper: Shopper
) -> None:
    ask(payment, 300)
    till.deliver_messages()
    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.PARTLY_REFUNDED, 300)
    page = shopper.open_link(order)
    assert "€3.00 of it was sent back" in page.words

    ask(payment, 701)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.refunded_minor) == (OrderStatus.REFUNDED, TOTAL)
    assert sorted(sent_back(sandbox)) == [300, 701]


@pytest.mark.parametrize("amount_minor", [0, -1, TOTAL + 1])
def test_more_than_was_charged_cannot_be_asked_for(payment: Payment, amount_minor: int) -> None:
    with pytest.raises(RefundImpossible):
        ask(payment, amount_minor)

    assert not Refund.objects.exists()


def test_unpaid_payment_cannot_be_refunded(shelf: list[Product], till: Till) -> None:
    till.settle(placed_order(shelf[0], payment_method="pm_card_chargeDeclined"))

    with pytest.raises(RefundImpossible):
        ask(Payment.objects.get(), 1)


def test_many_who_ask_at_once_never_get_more_than_was_charged(
    payment: Payment, till: Till, sandbox: SandboxServer
) -> None:
    barrier = threading.Barrier(8)

    def press(_: int) -> bool:
        try:
            barrier.wait()
            ask(payment, 400)
        except RefundImpossible:
            return False
        else:
            return True
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        asked = sum(pool.map(press, range(8)))
    till.deliver_messages()

    assert asked == 2
    assert sent_back(sandbox) == [400, 400]


def test_message_delivered_twice_sends_back_once(
    payment: Payment, till: Till, sandbox: SandboxServer
) -> None:
    ask(payment, 400)

    outcomes = [settle(payment, till.gateway) for _ in range(3)]  # type: ignore[arg-type] # Stripe's

    assert outcomes == [Result.REFUNDED, Result.NOTHING_TO_DO, Result.NOTHING_TO_DO]
    assert sent_back(sandbox) == [400]


@pytest.mark.parametrize("forgotten", [False, True], ids=["key known", "key forgotten"])
def test_lost_answer_is_found_by_the_refunds_own_key(
    payment: Payment, gateway: StripeGateway, sandbox: SandboxServer, forgotten: bool
) -> None:
    ask(payment, 400)
    faulty = FaultyGateway(gateway, after={"refund": raising(OutcomeUnknown("timeout"))})
    assert settle(payment, faulty) is Result.LATER
    assert sent_back(sandbox) == [400]

    if forgotten:
        sandbox.clock.advance(25 * 60 * 60)
    assert settle(payment, gateway) is Result.REFUNDED

    assert sent_back(sandbox) == [400]
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert Order.objects.get().refunded_minor == 400


class ProcessDied(BaseException):
    """Like SIGKILL: no handler of ours may see it."""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_worker_that_dies_around_the_call_sends_back_once(
    payment: Payment, gateway: StripeGateway, sandbox: SandboxServer, moment: str
) -> None:
    ask(payment, 400)
    faulty = FaultyGateway(gateway)
    getattr(faulty, moment)["refund"] = raising(ProcessDied())  # type: ignore[arg-type] # not an Exception, on purpose
    with pytest.raises(ProcessDied):
        settle(payment, faulty)

    sandbox.clock.advance(25 * 60 * 60)
    settle(payment, gateway)

    assert sent_back(sandbox) == [400]


@pytest.mark.parametrize("moment", ["before", "after"])
def test_overtaken_worker_sends_back_and_notes_it_once(
    payment: Payment, gateway: StripeGateway, sandbox: SandboxServer, moment: str
) -> None:
    ask(payment, 400)
    faulty = FaultyGateway(gateway)
    getattr(faulty, moment)["refund"] = lambda: settle(payment, gateway)

    settle(payment, faulty)

    assert sent_back(sandbox) == [400]
    notes = payment.order.events.filter(kind="note").values_list("reason", flat=True)
    assert list(notes) == ["€4.00 was sent back"]


@pytest.mark.parametrize(
    "error", [NotExecuted("rate_limit"), OutcomeUnknown("timeout"), GatewayMisconfigured("key")]
)
def test_refund_without_an_outcome_is_tried_again(
    payment: Payment, gateway: StripeGateway, till: Till, error: Exception
) -> None:
    ask(payment, 400)
    faulty = FaultyGateway(gateway, before={"refund": raising(error)})

    assert settle(payment, faulty) is Result.LATER

    assert Refund.objects.get().status == RefundStatus.REQUESTED
    till.deliver_messages()
    assert Refund.objects.get().status == RefundStatus.SUCCEEDED


def test_refused_refund_is_put_before_a_person_and_can_be_asked_for_again(
    payment: Payment, gateway: StripeGateway, till: Till
) -> None:
    ask(payment, TOTAL)
    refused = FaultyGateway(gateway, before={"refund": raising(RefundRefused("charge_disputed"))})

    settle(payment, refused)

    order = Order.objects.get()
    assert (order.status, order.needs_person) == (OrderStatus.PAID, REFUND_FAILED)
    assert Refund.objects.get().failure == "charge_disputed"
    ask(payment, TOTAL)  # what failed is not reserved any more


def test_lost_message_of_a_refund_is_swept(
    payment: Payment, till: Till, sandbox: SandboxServer
) -> None:
    ask(payment, 400)
    payment.order.outbox_messages.update(published_at=timezone.now())  # and SQS lost it
    order = Order.objects.get()
    assert order.sweep_at is not None

    assert sweep(now=order.sweep_at) == 1
    till.deliver_messages()

    assert sent_back(sandbox) == [400]


def test_refund_made_at_the_gateways_own_site_is_taken_over(
    payment: Payment, gateway: StripeGateway, till: Till
) -> None:
    gateway.refund(
        payment.gateway_payment_id,
        amount_minor=250,
        currency="EUR",
        refund_key="",
        idempotency_key="theirs",
    )

    till.check(Order.objects.get())
    till.check(Order.objects.get())

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.PARTLY_REFUNDED, 250)
    assert Refund.objects.count() == 1


def test_refund_made_there_is_taken_over_beside_one_of_ours_on_its_way(
    payment: Payment, gateway: StripeGateway, till: Till
) -> None:
    ask(payment, 100)  # has no id at the gateway yet
    gateway.refund(
        payment.gateway_payment_id,
        amount_minor=250,
        currency="EUR",
        refund_key="",
        idempotency_key="theirs",
    )

    till.check(Order.objects.get())

    assert Order.objects.get().refunded_minor == 350


@pytest.fixture
def staff(db: None) -> User:
    user = User.objects.create_user("support", password="look", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    return user


def refund_page(payment: Payment) -> str:
    return f"/admin/payments/payment/{payment.pk}/refund/"


def filled_in(client: Client, payment: Payment, typed: dict[str, str]) -> dict[str, str]:
    """The form as a browser sends it once the page has shown the amount back."""
    page = client.get(refund_page(payment)).content.decode()
    asked = client.post(refund_page(payment), read_form(page, "") | typed)
    return read_form(asked.content.decode(), "") | typed


def test_staff_with_the_permission_ask_for_a_refund(
    payment: Payment, staff: User, till: Till, sandbox: SandboxServer
) -> None:
    staff.user_permissions.add(Permission.objects.get(codename="request_refund"))
    client = Client()
    client.force_login(staff)
    assert (
        "Send money back"
        in client.get(f"/admin/payments/payment/{payment.pk}/change/").content.decode()
    )
    assert "€10.01 is left" in client.get(refund_page(payment)).content.decode()

    typed = filled_in(client, payment, {"amount": "4.50", "reason": "Torn"})
    assert not Refund.objects.exists()
    answers = [client.post(refund_page(payment), typed) for _ in range(2)]  # a double click
    till.deliver_messages()

    assert [answer.status_code for answer in answers] == [302, 302]
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.reason, refund.requested_by) == (450, "Torn", staff)
    assert sent_back(sandbox) == [450]


def test_amount_is_shown_back_before_money_moves(payment: Payment, admin_client: Client) -> None:
    page = admin_client.get(refund_page(payment)).content.decode()
    assert "Amount in EUR" in page
    form = read_form(page, "")
    assert form["amount"] == "10.01"

    asked = admin_client.post(refund_page(payment), form | {"amount": "4,50", "reason": "Torn"})
    shown = asked.content.decode()
    assert "<strong>€4.50</strong> will be sent back" in shown
    assert 'value="Send €4.50 back"' in shown
    # Another amount than the one that was shown is shown first, too.
    again = read_form(shown, "") | {"amount": "5.40", "reason": "Torn"}
    other = admin_client.post(refund_page(payment), again).content.decode()
    assert "<strong>€5.40</strong> will be sent back" in other
    assert not Refund.objects.exists()

    admin_client.post(refund_page(payment), read_form(other, "") | {"reason": "Torn"})
    assert Refund.objects.get().amount_minor == 540


@pytest.mark.parametrize(
    "typed", ["1.000", "1,000", "-1", "1e1", "1_0", "１", "1.005", "0", "10.02"]
)
def test_unclear_or_impossible_amount_sends_nothing(
    payment: Payment, admin_client: Client, typed: str
) -> None:
    form = filled_in(admin_client, payment, {"amount": typed, "reason": "Torn"})

    answer = admin_client.post(refund_page(payment), form)

    assert answer.context["form"].errors["amount"]
    assert not Refund.objects.exists()


@pytest.mark.parametrize(
    "typed",
    [{"amount": "10.02", "reason": "x"}, {"amount": "1.005", "reason": "x"}, {"amount": "1"}],
    ids=["too much", "half a cent", "no reason"],
)
def test_impossible_wish_is_said_on_the_page(
    payment: Payment, admin_client: Client, typed: dict[str, str]
) -> None:
    answer = admin_client.post(refund_page(payment), filled_in(admin_client, payment, typed))

    assert answer.status_code == 200
    assert len(answer.context["form"].errors) == 1
    assert not Refund.objects.exists()


def test_staff_without_the_permission_cannot(payment: Payment, staff: User) -> None:
    client = Client()
    client.force_login(staff)

    assert client.get(refund_page(payment)).status_code == 403
    assert client.post(refund_page(payment), {"amount": "1", "reason": "x"}).status_code == 403
    assert not Refund.objects.exists()


def test_second_refund_asked_for_while_the_first_is_sent_is_swept(
    payment: Payment, gateway: StripeGateway, till: Till, sandbox: SandboxServer
) -> None:
    ask(payment, 300)
    busy = FaultyGateway(gateway, after={"refund": lambda: ask(payment, 200)})
    settle(payment, busy)
    OutboxMessage.objects.update(published_at=timezone.now())  # and SQS lost what was sent
    order = Order.objects.get()
    assert order.status == OrderStatus.PARTLY_REFUNDED

    sweep(now=timezone.now() + timedelta(hours=1))
    till.deliver_messages()

    assert sorted(sent_back(sandbox)) == [200, 300]
    order.refresh_from_db()
    assert (order.refunded_minor, order.sweep_at) == (500, None)


class SlowBank(FaultyGateway):
    """The first refund is on its way, and stays so."""

    def refund(
        self,
        payment_id: str,
        *,
        amount_minor: int,
        currency: str,
        refund_key: str,
        idempotency_key: str,
    ) -> GatewayRefund:
        answer = super().refund(
            payment_id,
            amount_minor=amount_minor,
            currency=currency,
            refund_key=refund_key,
            idempotency_key=idempotency_key,
        )
        return self._as_the_bank_has_it(answer)

    def refunds_of(self, payment_id: str) -> list[GatewayRefund]:
        return [self._as_the_bank_has_it(refund) for refund in super().refunds_of(payment_id)]

    @staticmethod
    def _as_the_bank_has_it(refund: GatewayRefund) -> GatewayRefund:
        first = Refund.objects.order_by("id")[0]
        is_first = refund.refund_key == first.key
        return replace(refund, state=RefundState.PENDING) if is_first else refund


def test_refund_pending_for_two_days_is_one_question_and_keeps_no_other_back(
    payment: Payment, till: Till, sandbox: SandboxServer
) -> None:
    bank = SlowBank(till.gateway)
    ask(payment, 300)
    now = timezone.now()
    end = now + timedelta(hours=48)
    second_at: datetime | None = now + timedelta(hours=24)
    waiting_at_most = 0
    while now < end:
        sweep(now=now)
        if second_at and now >= second_at:
            second_at = None
            ask(payment, 500)
        due = OutboxMessage.objects.filter(published_at=None, available_at__lte=now)
        while message := due.order_by("id").first():
            OutboxMessage.objects.filter(pk=message.pk).update(published_at=now)
            HANDLERS[message.kind](message.order.number, only(bank), clock=lambda at=now: at)
        waiting_at_most = max(
            waiting_at_most, OutboxMessage.objects.filter(published_at=None).count()
        )
        now += timedelta(minutes=10)

    calls = [step for step, _ in bank.calls if step.startswith("refund")]
    print(f"{len(calls)} calls to the gateway in 48 hours")
    assert len(calls) <= 60
    assert waiting_at_most == 1
    assert sent_back(sandbox) == [300, 500]
    first, second = Refund.objects.order_by("id")
    assert (first.status, second.status) == (RefundStatus.PENDING, RefundStatus.SUCCEEDED)


def test_refund_that_a_worker_sends_while_the_gateway_lists_refunds_is_entered_once(
    payment: Payment, gateway: StripeGateway, till: Till
) -> None:
    """Its answer is lost, so that only its key says whose it is."""

    def worker() -> None:
        ask(payment, 400)
        lost = FaultyGateway(gateway, after={"refund": raising(OutcomeUnknown("timeout"))})
        settle(payment, lost)

    beside = FaultyGateway(gateway, before={"refunds": worker})
    take_over_refunds(payment, Calls.begin(only(beside), timezone.now))
    till.deliver_messages()

    assert Refund.objects.get().status == RefundStatus.SUCCEEDED
    assert Order.objects.get().refunded_minor == 400
