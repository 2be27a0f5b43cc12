"""A dispute is written down, put before a person, and blocks what would send the money twice."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from html import unescape

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.flags import put_before_a_person
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import (
    DISPUTED,
    OVERCHARGED,
    REFUND_FAILED,
    WRONG_AMOUNT,
)
from checkout.orders.cancelling import give_up
from checkout.orders.models import Order, OutboxMessage, WebhookEndpoint
from checkout.orders.money.facts import facts_about
from checkout.orders.operations.staff_actions import ask_to_cancel
from checkout.orders.outbox.sweep import expire_unpaid
from checkout.orders.states import OrderStatus
from checkout.orders.ways_to_pay.web_side import Hint
from checkout.orders.webhooks.content import body_of
from checkout.orders.webhooks.endpoints import add_endpoint
from payments.books.audit import audit_database
from payments.books.compare import DISPUTED_THERE, differences
from payments.books.gateway_audit import audit_gateway
from payments.books.repair import reconcile
from payments.gateways.base import DisputeState, GatewayDispute
from payments.models import Dispute, Payment, Refund
from payments.receive_hint import receive_hint
from payments.refunds import (
    RefundImpossible,
    approve_refund,
    refundable_minor,
    request_refund,
)
from payments.settling.check_order import cancel_order
from payments.settling.disputes import record_dispute
from payments.settling.outcomes import prepare_refund
from payments.settling.refunds import settle_refunds
from payments.states import RefundStatus
from tests.admin.conftest import order_page
from tests.doubles.gateway import FaultyGateway
from tests.support.factories import placed_order
from tests.support.shopper import Shopper
from tests.support.till import Till, only

TOTAL = 1001


@pytest.fixture
def payment(shelf: list[Product], till: Till) -> Payment:
    till.settle(placed_order(shelf[0]))
    return Payment.objects.select_related("order").get()


def hear(till: Till, payment: Payment, dispute_id: str, kind: str = "created") -> None:
    hint = Hint(
        event_id=f"evt_{dispute_id}_{kind}",
        kind=f"charge.dispute.{kind}",
        payment_ids=(payment.gateway_payment_id, dispute_id),
        is_about_dispute=True,
    )
    receive_hint(hint, gateway="stripe", now=timezone.now())
    till.deliver_messages()


def disputed(till: Till, payment: Payment, **how: object) -> str:
    dispute_id = till.dispute(payment, **how)
    hear(till, payment, dispute_id)
    return dispute_id


def ask(payment: Payment, amount_minor: int = 300) -> Refund:
    return request_refund(
        payment,
        amount_minor=amount_minor,
        reason="Torn",
        requested_by=None,
        now=timezone.now(),
    )


def wrong(*, but_for: str = "No order waits for a person") -> list[str]:
    findings = audit_database(timezone.now())
    return [row for f in findings for row in f.rows if f.promise != but_for]


def wrong_outside(till: Till, *, ahead: timedelta = timedelta(hours=2)) -> list[str]:
    now = timezone.now() + ahead
    return [row for finding in audit_gateway(only(till.gateway), now=now) for row in finding.rows]


def test_dispute_is_written_down_with_its_deadline_and_shown_to_staff(
    payment: Payment, till: Till, admin_client: Client
) -> None:
    dispute_id = disputed(till, payment)

    dispute = Dispute.objects.get()
    assert (dispute.gateway_dispute_id, dispute.status) == (dispute_id, "needs_response")
    assert (dispute.amount_minor, dispute.currency, dispute.reason) == (TOTAL, "EUR", "fraudulent")
    assert dispute.due_at is not None
    assert dispute.due_at > timezone.now() + timedelta(days=6)
    assert [one.reason for one in open_reasons(Order.objects.get())] == [DISPUTED]
    page = unescape(order_page(admin_client, payment.order))
    assert DISPUTED in page
    assert "disputes €10.01" in page
    assert f"answer by {dispute.due_at:%d %b %Y}" in page
    dashboard = admin_client.get("/admin/dashboard/").content.decode()
    assert "1 open, the next to be answered by" in dashboard


@pytest.mark.parametrize("won", [True, False], ids=["won", "lost"])
def test_outcome_of_a_dispute_is_what_the_books_and_the_gateway_agree_on(
    payment: Payment, till: Till, shopper: Shopper, won: bool
) -> None:
    dispute_id = disputed(till, payment)
    till.decide(dispute_id, won=won)
    hear(till, payment, dispute_id, "closed")

    order = Order.objects.get()
    assert Dispute.objects.get().status == ("won" if won else "lost")
    assert Dispute.objects.get().closed_at is not None
    assert (order.status, order.refunded_minor, order.needs_person) == (OrderStatus.PAID, 0, "")
    assert refundable_minor(payment) == (TOTAL if won else 0)
    assert wrong(but_for="") == []
    assert wrong_outside(till) == []
    assert "closer look" not in shopper.open_link(order).words


def test_nothing_is_asked_back_or_agreed_to_while_a_dispute_is_open(
    payment: Payment, till: Till, admin_client: Client
) -> None:
    Payment.objects.update(charged_minor=TOTAL + 100)
    payment.refresh_from_db()
    prepare_refund(payment, 100, OVERCHARGED, now=timezone.now())
    prepared = Refund.objects.select_related("payment").get()
    dispute_id = disputed(till, payment)
    person = User.objects.create_user("person")

    with pytest.raises(RefundImpossible, match="disputes"):
        ask(payment)
    with pytest.raises(RefundImpossible, match="disputes"):
        approve_refund(prepared, approved_by=person, why="So it is", now=timezone.now())
    page = f"/admin/payments/refund/{prepared.pk}/agree/"
    assert "disputes" in admin_client.post(page, {"why": "So it is"}).content.decode()
    prepared.refresh_from_db()
    assert prepared.status == RefundStatus.PREPARED

    till.decide(dispute_id, won=True)
    hear(till, payment, dispute_id, "closed")
    assert ask(payment).status == RefundStatus.REQUESTED


def test_refund_asked_for_before_the_dispute_is_not_sent_by_the_worker(
    payment: Payment, till: Till
) -> None:
    ask(payment)
    OutboxMessage.objects.update(published_at=timezone.now())
    dispute_id = till.dispute(payment)
    Dispute.objects.create(
        payment=payment,
        gateway_dispute_id=dispute_id,
        status="needs_response",
        amount_minor=TOTAL,
        currency="EUR",
        opened_at=timezone.now(),
    )
    watched = FaultyGateway(till.gateway)

    settle_refunds(payment.order.number, only(watched), clock=timezone.now)

    assert [step for step, _ in watched.calls if step == "refund"] == []
    refund = Refund.objects.get()
    assert (refund.status, refund.failure) == (RefundStatus.FAILED, "charge_disputed")


def test_refund_that_the_gateway_refuses_for_a_dispute_tells_of_the_dispute(
    payment: Payment, till: Till
) -> None:
    """Its hint is still on its way."""
    ask(payment)
    till.dispute(payment)

    till.deliver_messages()

    assert Refund.objects.get().failure == "charge_disputed"
    assert {one.reason for one in open_reasons(Order.objects.get())} == {REFUND_FAILED, DISPUTED}


def test_refund_sent_before_the_dispute_is_found_and_not_lost(payment: Payment, till: Till) -> None:
    refund = ask(payment)
    till.gateway.refund(
        payment.gateway_payment_id,
        amount_minor=300,
        currency="EUR",
        refund_key=refund.key,
        idempotency_key=refund.key,
    )
    Refund.objects.update(tries=1)
    OutboxMessage.objects.all().delete()

    disputed(till, payment, amount=701)

    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED


def test_inquiry_is_shown_and_may_be_answered_by_a_refund(payment: Payment, till: Till) -> None:
    disputed(till, payment, is_inquiry=True)

    assert Dispute.objects.get().status == "inquiry"
    assert Order.objects.get().needs_person == DISPUTED
    ask(payment, TOTAL)
    till.deliver_messages()
    assert Order.objects.get().status == OrderStatus.REFUNDED


def waiting_with_a_dispute(shelf: list[Product], till: Till) -> Order:
    """Declined here, and charged there by an amount that pays no order; that charge is disputed."""
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    Payment.objects.filter(order=order).update(charged_minor=7)
    Dispute.objects.create(
        payment=Payment.objects.get(order=order),
        gateway_dispute_id="dp_1",
        status="needs_response",
        amount_minor=7,
        currency="EUR",
        opened_at=timezone.now(),
    )
    put_before_a_person(order.pk, WRONG_AMOUNT, now=timezone.now())
    put_before_a_person(order.pk, DISPUTED, now=timezone.now())
    order.refresh_from_db()
    return order


def by_its_customer(order: Order, till: Till) -> None:
    assert not give_up(order, now=timezone.now())


def by_staff(order: Order, till: Till) -> None:
    with pytest.raises(ActionImpossible):
        ask_to_cancel(order, by="ada", why="They asked", now=timezone.now())


def by_time(order: Order, till: Till) -> None:
    assert expire_unpaid(now=timezone.now() + timedelta(days=3)) == 0


def by_the_worker(order: Order, till: Till) -> None:
    cancel_order(order.number, only(till.gateway), clock=timezone.now)


@pytest.mark.parametrize("cancel", [by_its_customer, by_staff, by_time, by_the_worker])
def test_order_is_not_cancelled_while_a_bank_decides(
    shelf: list[Product], till: Till, cancel: Callable[[Order, Till], None]
) -> None:
    order = waiting_with_a_dispute(shelf, till)

    cancel(order, till)
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == OrderStatus.PAYMENT_FAILED


def test_surplus_that_a_dispute_has_won_is_not_said_to_be_on_its_way(
    payment: Payment, till: Till
) -> None:
    Payment.objects.update(is_surplus=True)
    Order.objects.update(status="cancelled")
    dispute_id = disputed(till, payment)
    assert facts_about(Order.objects.get()).too_much_minor == TOTAL

    till.decide(dispute_id, won=False)
    hear(till, payment, dispute_id, "closed")

    assert facts_about(Order.objects.get()).too_much_minor == 0
    assert not [row for row in wrong() if "too much is still here" in row]
    assert wrong_outside(till) == []


def test_dispute_told_again_changes_nothing_and_one_seen_to_stays_so(
    payment: Payment, till: Till
) -> None:
    dispute_id = disputed(till, payment)
    events = payment.order.events.count()

    hear(till, payment, dispute_id, "funds_withdrawn")

    assert Dispute.objects.count() == 1
    assert payment.order.events.count() == events


def test_no_order_is_asked_about_whose_dispute_nobody_told_of(payment: Payment, till: Till) -> None:
    till.check(payment.order)

    assert not payment.attempts.filter(step="disputes").exists()


def test_daily_commands_notice_disputes_without_a_hint(payment: Payment, till: Till) -> None:
    dispute_id = till.dispute(payment)
    since = timezone.now() - timedelta(hours=36)

    assert wrong_outside(till) == [
        f"{payment.order.number}: dispute is needs_response there, unknown here"
    ]
    report = reconcile(
        only(till.gateway),
        since=since,
        clock=lambda: timezone.now() + timedelta(hours=2),
        may_repair=lambda _: True,
    )
    assert [d.kind for d in report.found] == [DISPUTED_THERE]
    assert (list(report.repairs.values()), report.remaining) == (["noted"], [])
    assert Order.objects.get().needs_person == DISPUTED

    # Months later it is decided: opened before the window, and still open here.
    till.decide(dispute_id, won=False)
    Dispute.objects.update(opened_at=timezone.now() - timedelta(days=70))
    later = timezone.now() + timedelta(days=70)
    since = later - timedelta(hours=36)
    kinds = [d.kind for d in differences(only(till.gateway), since=since, now=later)]
    assert kinds == [DISPUTED_THERE]


def test_story_of_the_order_tells_it_on_the_command_line(
    payment: Payment, till: Till, capsys: pytest.CaptureFixture[str]
) -> None:
    disputed(till, payment)

    call_command("order_story", payment.order.number)

    said = capsys.readouterr().out
    assert "The customer's bank disputes €10.01 (fraudulent, answer by" in said


def disputes_told(endpoint: WebhookEndpoint) -> list[dict[str, object]]:
    deliveries = endpoint.deliveries.filter(kind="order.disputed").order_by("event")
    return [json.loads(body_of(each))["data"]["dispute"] for each in deliveries]


@pytest.mark.parametrize("won", [True, False], ids=["won", "lost"])
def test_other_systems_are_told_when_a_dispute_opens_and_when_it_is_decided(
    payment: Payment, till: Till, won: bool
) -> None:
    endpoint = add_endpoint("https://erp.example/hooks")
    began = timezone.now()
    dispute_id = disputed(till, payment)
    hear(till, payment, dispute_id, "updated")  # heard again, and nothing is new
    till.decide(dispute_id, won=won)
    hear(till, payment, dispute_id, "closed")

    about = {"id": dispute_id, "amount_minor": TOTAL, "reason": "fraudulent"}
    told = [about | {"status": "needs_response"}, about | {"status": "won" if won else "lost"}]
    assert disputes_told(endpoint) == told
    later = add_endpoint("https://erp.example/later", since=began)
    assert disputes_told(later) == told


def test_shops_own_answer_to_a_dispute_is_no_news_to_its_systems(
    payment: Payment, till: Till
) -> None:
    endpoint = add_endpoint("https://erp.example/hooks")
    inquiry = GatewayDispute(
        id="du_1",
        state=DisputeState.INQUIRY,
        payment_id=payment.gateway_payment_id,
        amount_minor=TOTAL,
        currency="EUR",
        reason="fraudulent",
        opened_at=timezone.now(),
        due_at=None,
    )
    for state in ("INQUIRY", "NEEDS_RESPONSE", "UNDER_REVIEW", "NEEDS_RESPONSE", "WON"):
        changed = replace(inquiry, state=DisputeState[state])
        record_dispute(payment, changed, now=timezone.now())

    statuses = [each["status"] for each in disputes_told(endpoint)]
    assert statuses == ["inquiry", "needs_response", "won"]
