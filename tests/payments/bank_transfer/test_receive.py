"""What becomes of money that came: too much, too little, twice, late, and for nobody knows what."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from functools import partial

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.attention.reasons import PART_CAME
from checkout.orders.cancelling import cancel_unpaid
from checkout.orders.models import Mail, Order, OutboxMessage
from checkout.orders.outbox.sweep import expire_unpaid, look_soon, sweep
from checkout.orders.paying import pay_again
from payments.books.compare import differences
from payments.books.gateway_audit import audit_gateway
from payments.gateways.bank_transfer.client import BankTransferGateway
from payments.gateways.bank_transfer.models import (
    ExpectedTransfer,
    ReceivedTransfer,
    ReturnedTransfer,
)
from payments.gateways.bank_transfer.receive import (
    Became,
    assign,
    mark_sent,
    record,
    set_aside,
)
from payments.gateways.base import GatewayPayment
from payments.gateways.load import Gateways
from payments.models import Payment, PaymentAttempt, Refund
from payments.refunds import approve_refund, request_refund
from payments.settling.check_order import cancel_order
from payments.settling.refunds import settle_refunds
from payments.settling.settle_order import settle_order
from payments.states import RefundStatus
from tests.payments.bank_transfer.conftest import came, deliver, entry, waiting_order
from tests.support.factories import placed_order
from tests.support.till import Till


def status(order: Order) -> str:
    order.refresh_from_db()
    return order.status


def assert_books_agree(gateways: Gateways) -> None:
    now = timezone.now() + timedelta(hours=2)
    found = differences(gateways, since=now - timedelta(days=2), now=now)
    assert [(difference.kind, difference.order) for difference in found] == []
    rows = [row for finding in audit_gateway(gateways, now=now) for row in finding.rows]
    assert rows == []


def test_order_waits_for_its_money_and_nothing_is_taken(order: Order, till: Till) -> None:
    payment = Payment.objects.get()

    assert (order.status, payment.status) == ("action_required", "needs_action")
    assert order.expires_at is not None
    assert order.expires_at > timezone.now() + timedelta(days=13)
    assert till.charges() == []


@pytest.mark.parametrize("written", ["{}", "Rechnung {} vielen Dank", "order no. {}, Ada"])
def test_money_with_the_orders_number_pays_it(
    order: Order, gateways: Gateways, written: str
) -> None:
    text = written.format(order.number.replace("-", " "))

    assert came(text) is Became.MATCHED
    deliver(gateways)

    assert status(order) == "paid"
    assert ReceivedTransfer.objects.get().text == ""  # what the payer wrote is needed no more
    assert_books_agree(gateways)


def test_entry_is_recorded_once_by_the_banks_reference(order: Order, gateways: Gateways) -> None:
    assert [came(order.number) for _ in range(3)] == [
        Became.MATCHED,
        Became.BEFORE,
        Became.BEFORE,
    ]
    deliver(gateways)

    assert status(order) == "paid"
    assert (Refund.objects.count(), ReceivedTransfer.objects.count()) == (0, 1)


def test_entry_that_many_record_at_once_is_recorded_once(order: Order, gateways: Gateways) -> None:
    def record_it(number: int) -> Became:
        try:
            return record(entry(order.number), by=f"clerk-{number}", now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        became = list(pool.map(record_it, range(8)))

    assert sorted(each.name for each in became) == ["BEFORE"] * 7 + ["MATCHED"]
    deliver(gateways)
    assert (status(order), Refund.objects.count()) == ("paid", 0)


def test_part_of_the_money_waits_for_the_rest_before_a_person(
    order: Order, gateways: Gateways
) -> None:
    assert came(order.number, 400) is Became.PARTLY
    deliver(gateways)
    assert status(order) == "action_required"
    assert order.needs_person == PART_CAME

    assert came(order.number, 601, reference="B-2") is Became.MATCHED
    deliver(gateways)

    assert (status(order), order.needs_person) == ("paid", "")
    assert_books_agree(gateways)


def test_order_is_not_cancelled_while_a_part_of_its_money_is_here(
    order: Order, gateways: Gateways
) -> None:
    came(order.number, 400)
    deliver(gateways)
    Order.objects.update(expires_at=timezone.now() - timedelta(days=1))

    expire_unpaid(now=timezone.now())
    message = OutboxMessage.objects.get(published_at=None, kind="cancel_order")
    OutboxMessage.objects.filter(pk=message.pk).update(published_at=timezone.now())
    cancel_order(order.number, gateways, clock=timezone.now)

    assert status(order) == "action_required"
    assert ExpectedTransfer.objects.get().cancelled_at is None


def test_too_much_pays_the_order_and_the_rest_goes_back(order: Order, gateways: Gateways) -> None:
    assert came(order.number, 1501) is Became.MORE
    deliver(gateways)
    assert status(order) == "paid"
    refund = Refund.objects.get()
    assert (refund.status, refund.amount_minor) == (RefundStatus.PREPARED, 500)

    person = User.objects.create_user("grace")
    approve_refund(refund, approved_by=person, why="Yes", now=timezone.now())
    deliver_refunds(gateways)
    returned = ReturnedTransfer.objects.get()
    assert (returned.amount_minor, returned.sent_at) == (500, None)

    mark_sent(returned, "B-9", by="ada", now=timezone.now())
    deliver_refunds(gateways)

    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    assert status(order) == "paid"
    assert_books_agree(gateways)


def deliver_refunds(gateways: Gateways) -> None:
    """Once: a refund that is on its way is asked about again, for ever."""
    for number in Order.objects.values_list("number", flat=True):
        settle_refunds(number, gateways, clock=timezone.now)
    OutboxMessage.objects.update(published_at=timezone.now())


def lose_messages() -> None:
    """SQS takes all that is due, and nobody receives it."""
    OutboxMessage.objects.filter(published_at=None).update(published_at=timezone.now())


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_money_whose_question_the_queue_lost_is_asked_for_by_the_sweep(
    order: Order, gateways: Gateways, lost: int
) -> None:
    now = timezone.now()
    assert came(order.number) is Became.MATCHED

    for time in range(lost):
        lose_messages()
        sweep(now=now + timedelta(minutes=20) * (time + 1))
    deliver(gateways)

    assert status(order) == "paid"


@pytest.mark.parametrize("is_looked_at_soon", [False, True])
def test_money_that_comes_while_the_worker_asks_is_not_forgotten(
    order: Order, gateways: Gateways, monkeypatch: pytest.MonkeyPatch, is_looked_at_soon: bool
) -> None:
    now = timezone.now()
    ask = BankTransferGateway.retrieve

    def ask_just_before(gateway: BankTransferGateway, payment_id: str) -> GatewayPayment:
        answer = ask(gateway, payment_id)
        came(order.number)
        lose_messages()
        return answer

    if is_looked_at_soon:
        look_soon(order.pk, now=now)
    with monkeypatch.context() as patch:
        patch.setattr(BankTransferGateway, "retrieve", ask_just_before)
        settle_order(order.number, gateways, clock=timezone.now)
    assert status(order) == "action_required"

    sweep(now=now + timedelta(minutes=20))
    deliver(gateways)

    assert status(order) == "paid"


def test_second_transfer_for_a_paid_order_is_a_surplus(order: Order, gateways: Gateways) -> None:
    came(order.number)
    deliver(gateways)

    assert came(order.number, 700, reference="B-2") is Became.MORE
    deliver(gateways)

    assert status(order) == "paid"
    surplus = Payment.objects.get(is_surplus=True)
    assert (surplus.gateway, surplus.taken_minor) == ("bank_transfer", 700)
    assert Refund.objects.get().amount_minor == 700
    assert Order.objects.get().refunded_minor == 0


def test_late_money_revives_a_cancelled_order(order: Order, gateways: Gateways) -> None:
    Order.objects.update(expires_at=timezone.now())
    cancel_order(order.number, gateways, clock=timezone.now)
    assert status(order) == "cancelled"

    assert came(order.number) is Became.MATCHED
    deliver(gateways)

    assert status(order) == "paid"


def test_money_that_names_no_order_waits_for_a_person_who_assigns_it_once(
    order: Order, gateways: Gateways
) -> None:
    assert came("thank you for the ink") is Became.UNASSIGNED
    received = ReceivedTransfer.objects.get()

    told = assign(received, order.number, by="ada", why="They rang", now=timezone.now())
    with pytest.raises(ActionImpossible, match="Somebody was first"):
        assign(received, order.number, by="bob", why="Again", now=timezone.now())
    deliver(gateways)

    assert told == "The money is for its order."
    assert status(order) == "paid"
    assert ReceivedTransfer.objects.get().text == ""


def test_money_that_names_two_orders_waits_for_a_person(
    order: Order, shelf: list[Product], gateways: Gateways
) -> None:
    other = waiting_order(shelf[1], gateways)

    assert came(f"{order.number} and {other.number}", 2003) is Became.UNASSIGNED


def test_money_set_aside_is_for_no_order_any_more(order: Order) -> None:
    came("nobody knows")
    received = ReceivedTransfer.objects.get()

    set_aside(received, by="ada", why="Sent back at the bank", now=timezone.now())

    with pytest.raises(ActionImpossible):
        assign(received, order.number, by="bob", why="Mine", now=timezone.now())


def test_customer_takes_a_card_instead_and_a_transfer_that_comes_later_is_a_surplus(
    order: Order, gateways: Gateways, till: Till
) -> None:
    now = timezone.now()
    pay_again(order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=now)
    deliver(gateways)
    assert status(order) == "paid"
    assert ExpectedTransfer.objects.get().cancelled_at is not None

    assert came(order.number) is Became.MORE
    deliver(gateways)

    assert len(till.charges()) == 1
    assert [p.taken_minor for p in Payment.objects.filter(is_surplus=True)] == [1001]
    assert Refund.objects.get().status == RefundStatus.PREPARED


def test_order_that_waits_for_a_card_is_paid_by_the_whole_price(
    shelf: list[Product], gateways: Gateways
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    deliver(gateways)
    assert status(order) == "payment_failed"

    assert came(order.number, 500) is Became.PARTLY
    deliver(gateways)
    assert status(order) == "payment_failed"
    assert came(order.number, 501, reference="B-2") is Became.MATCHED
    deliver(gateways)

    assert status(order) == "paid"
    now = timezone.now()
    assert not pay_again(order, gateway="stripe", payment_method="x", failed_round=None, now=now)


def test_refund_of_a_transfer_is_sent_by_staff_and_told_once(
    order: Order, gateways: Gateways
) -> None:
    came(order.number)
    deliver(gateways)
    payment = Payment.objects.get()
    request_refund(payment, amount_minor=1001, reason="Torn", requested_by=None, now=timezone.now())
    deliver_refunds(gateways)
    [returned] = ReturnedTransfer.objects.all()

    mark_sent(returned, "B-7", by="ada", now=timezone.now())
    with pytest.raises(ActionImpossible, match="said so before"):
        mark_sent(returned, "B-8", by="bob", now=timezone.now())
    deliver_refunds(gateways)

    assert status(order) == "refunded"
    assert Mail.objects.filter(kind=Mail.Kind.REFUNDED).count() == 1
    assert_books_agree(gateways)


def test_order_that_waits_two_weeks_is_asked_about_once_a_day_and_alarms_nobody(
    order: Order, gateways: Gateways, caplog: pytest.LogCaptureFixture
) -> None:
    now = timezone.now()
    for hour in range(13 * 24):
        now = order.placed_at + timedelta(hours=hour)
        sweep(now=now)
        expire_unpaid(now=now)
        deliver(gateways, clock=partial(datetime.fromisoformat, now.isoformat()))

    assert status(order) == "action_required"
    assert PaymentAttempt.objects.count() <= 20
    assert order.needs_person == ""
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_order_whose_money_never_comes_is_cancelled_after_its_days(
    order: Order, gateways: Gateways
) -> None:
    expire_unpaid(now=timezone.now() + timedelta(days=15))
    deliver(gateways)

    assert status(order) == "cancelled"
    assert cancel_unpaid(order, now=timezone.now()) is False
