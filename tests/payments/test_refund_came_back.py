"""A refund that succeeded may fail days later: whoever was told that money is on its way is told
that it is not, and it can be sent again."""

import json
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import REFUND_CAME_BACK
from checkout.orders.models import Mail, Order, OutboxMessage, WebhookDelivery
from checkout.orders.states import OrderStatus
from checkout.orders.ways_to_pay.web_side import Hint
from checkout.orders.webhooks.content import body_of
from checkout.orders.webhooks.endpoints import add_endpoint
from payments.books.compare import REFUND_CAME_BACK as CAME_BACK_THERE
from payments.books.compare import differences
from payments.books.gateway_audit import audit_gateway
from payments.books.repair import reconcile
from payments.gateways.base import RefundState
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, Refund
from payments.receive_hint import receive_hint
from payments.refunds import refundable_minor, request_refund
from payments.states import RefundStatus
from tests.support.audited import violations
from tests.support.factories import placed_order
from tests.support.shopper import Shopper
from tests.support.till import Till, only
from tests.support.webhook_kinds import AFTER_PLACING

TOTAL = 1001


@pytest.fixture
def payment(shelf: list[Product], till: Till) -> Payment:
    add_endpoint("https://erp.example/hooks", AFTER_PLACING)
    till.settle(placed_order(shelf[0]))
    return Payment.objects.get()


def send_back(payment: Payment, till: Till, amount_minor: int) -> Refund:
    refund = request_refund(
        payment, amount_minor=amount_minor, reason="Torn", requested_by=None, now=timezone.now()
    )
    till.deliver_messages()
    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    return refund


def hint(kind: str, refund: Refund) -> Hint:
    ids = (refund.payment.gateway_payment_id, refund.gateway_refund_id)
    return Hint(event_id=f"evt_{kind}", kind=kind, payment_ids=ids)


@pytest.mark.parametrize("kind", ["refund.failed", "refund.updated", "charge.refund.updated"])
def test_hint_has_the_order_say_that_the_money_came_back(
    payment: Payment, till: Till, shopper: Shopper, kind: str
) -> None:
    refund = send_back(payment, till, TOTAL)
    assert Order.objects.get().status == OrderStatus.REFUNDED
    till.return_refund(refund)

    receive_hint(hint(kind, refund), gateway="stripe", now=timezone.now())
    till.deliver_messages()

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.PAID, 0)
    assert [one.reason for one in open_reasons(order)] == [REFUND_CAME_BACK]
    refund.refresh_from_db()
    assert (refund.status, refund.failure) == (RefundStatus.FAILED, "came_back")
    assert refundable_minor(payment) == TOTAL
    assert violations(but_for="No order waits for a person") == []
    page = shopper.open_link(order).words
    assert "the money is with us again" in page
    assert "was sent back to you" not in page


def test_customer_and_systems_are_told_once(payment: Payment, till: Till) -> None:
    till.return_refund(send_back(payment, till, TOTAL))
    for _ in range(3):
        till.check(payment.order)

    assert list(Mail.objects.values_list("kind", "amount_minor").order_by("id"))[-2:] == [
        ("refunded", TOTAL),
        ("refund_failed", TOTAL),
    ]
    assert Mail.objects.filter(kind="paid").count() == 1  # the receipt, and no second one
    told = [json.loads(body_of(each)) for each in WebhookDelivery.objects.order_by("id")]
    assert [(each["type"], each["data"]["status"]) for each in told] == [
        ("order.paid", "paid"),
        ("order.refunded", "refunded"),
        ("order.refund_failed", "paid"),
    ]
    assert told[-1]["data"]["amount_minor"] == TOTAL
    assert told[-1]["data"]["refunded_minor"] == 0


def test_it_is_sent_again_by_a_refund_of_its_own(
    payment: Payment, till: Till, admin_client: Client
) -> None:
    first = send_back(payment, till, TOTAL)
    till.return_refund(first)
    till.check(payment.order)

    second = send_back(payment, till, TOTAL)

    assert second.key != first.key
    assert second.replaces == first
    order = Order.objects.get()
    assert (order.status, order.refunded_minor, order.needs_person) == ("refunded", TOTAL, "")
    assert violations() == []
    till.check(order)  # and the first one's failure is no news any more
    assert Order.objects.get().status == OrderStatus.REFUNDED


@pytest.mark.parametrize(
    ("amounts", "left"),
    [
        ((300, 701), ("partly_refunded", 701)),
        ((TOTAL,), ("paid", 0)),
        ((300,), ("paid", 0)),
        ((300, 200), ("partly_refunded", 200)),
    ],
)
def test_order_says_how_much_of_it_is_still_sent_back(
    payment: Payment, till: Till, amounts: tuple[int, ...], left: tuple[str, int]
) -> None:
    first, *_ = [send_back(payment, till, amount) for amount in amounts]
    till.return_refund(first)

    till.check(payment.order)

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == left
    assert violations(but_for="No order waits for a person") == []


def test_refund_of_the_gateways_own_site_may_come_back_too(
    payment: Payment, till: Till, gateway: StripeGateway
) -> None:
    gateway.refund(
        payment.gateway_payment_id,
        amount_minor=250,
        currency="EUR",
        refund_key="",
        idempotency_key="theirs",
    )
    till.check(payment.order)
    till.return_refund(Refund.objects.get())

    till.check(payment.order)

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.PAID, 0)
    assert order.needs_person == REFUND_CAME_BACK


def test_refund_thought_to_have_failed_that_was_made_is_believed(
    payment: Payment, till: Till
) -> None:
    refund = send_back(payment, till, 300)
    Refund.objects.filter(pk=refund.pk).update(status=RefundStatus.FAILED, failure="x")
    Order.objects.update(status="paid", refunded_minor=0)
    payment.order.events.filter(to_status="partly_refunded").delete()

    till.check(payment.order)

    order = Order.objects.get()
    assert (order.status, order.refunded_minor) == (OrderStatus.PARTLY_REFUNDED, 300)


def test_daily_commands_notice_it_without_a_hint(payment: Payment, till: Till) -> None:
    refund = send_back(payment, till, TOTAL)
    # Sent back three weeks ago, as both books have it.
    ago = timezone.now() - timedelta(days=21)
    Refund.objects.update(created_at=ago, settled_at=ago)
    till.return_refund(refund)
    now = timezone.now()
    since = now - timedelta(hours=36)

    rows = [row for finding in audit_gateway(only(till.gateway), now=now) for row in finding.rows]
    assert rows == [f"{payment.order.number}: sent back here, came back there"]
    assert [d.kind for d in differences(only(till.gateway), since=since, now=now)] == [
        CAME_BACK_THERE
    ]

    report = reconcile(
        only(till.gateway), since=since, clock=timezone.now, may_repair=lambda report: True
    )

    assert report.remaining == []
    assert list(report.repairs.values()) == ["noted"]
    order = Order.objects.get()
    assert (order.status, order.needs_person) == (OrderStatus.PAID, REFUND_CAME_BACK)
    assert [
        row
        for finding in audit_gateway(only(till.gateway), now=timezone.now())
        for row in finding.rows
    ] == []


def test_audit_of_our_books_fails_until_a_person_has_seen_to_it(
    payment: Payment, till: Till
) -> None:
    till.return_refund(send_back(payment, till, TOTAL))
    till.check(payment.order)
    out = StringIO()

    with pytest.raises(CommandError):
        call_command("audit_orders", "--no-gateway", "--no-queue", stdout=out)

    assert REFUND_CAME_BACK in out.getvalue()


def test_surplus_that_came_back_is_to_be_sent_again(
    payment: Payment, till: Till, gateway: StripeGateway
) -> None:
    refund = send_back(payment, till, TOTAL)
    Payment.objects.update(is_surplus=True)
    Order.objects.update(status="cancelled", refunded_minor=0)
    till.return_refund(refund)

    till.check(payment.order)

    order = Order.objects.get()
    assert (order.status, order.needs_person) == (OrderStatus.CANCELLED, REFUND_CAME_BACK)
    assert gateway.refunds_of(payment.gateway_payment_id)[0].state is RefundState.FAILED
    send_back(Payment.objects.get(), till, TOTAL)
    assert Order.objects.get().needs_person == ""


def test_late_failure_moves_no_order_to_paid_by_a_payments_outcome(
    payment: Payment, till: Till
) -> None:
    """The table lets a refunded order be paid again, but only a refund that came back does it."""
    send_back(payment, till, TOTAL)
    Payment.objects.update(status="declined")  # and the gateway says that it is paid

    till.check(payment.order)

    assert Order.objects.get().status == OrderStatus.REFUNDED


def test_page_of_the_order_offers_to_send_it_again(
    payment: Payment, till: Till, admin_client: Client
) -> None:
    till.return_refund(send_back(payment, till, 300))
    till.check(payment.order)

    page = admin_client.get(f"/admin/orders/order/{payment.order_id}/change/").content.decode()

    assert REFUND_CAME_BACK in page
    assert "Send money back" in page
    assert OutboxMessage.objects.filter(published_at=None).count() == 0
