"""Orders that are charged when they are sent: each parcel once, never more than was set aside."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module
from itertools import count
from typing import Any

import pytest
import requests
from django.db import IntegrityError, connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.queries import open_reasons
from checkout.orders.attention.reasons import AUTHORISATION_ENDS, LAPSED, NOT_CAPTURED
from checkout.orders.cancelling import can_be_cancelled, cancel_paid
from checkout.orders.dispatch.ship import CannotShip, ship, undo_shipment
from checkout.orders.models import Invoice, Mail, Order, OutboxMessage, Shipment
from checkout.orders.money.facts import facts_about
from checkout.orders.money.words import money_sentence
from checkout.orders.outbox.sweep import expire_unpaid, sweep
from checkout.orders.paying import pay_again
from checkout.orders.placing.place import place_order
from checkout.orders.states import Canceller, DispatchStatus, OrderStatus
from checkout.orders.stock.differences import count_differences
from payments.books.audit import SWEEP_GRACE
from payments.capturing import capture
from payments.capturing.capture import settle_captures
from payments.capturing.record import record_lapsed
from payments.gateways.base import OutcomeUnknown
from payments.models import Capture, Payment, Refund
from payments.refund_lines import RefundedPieces, refund_lines
from payments.refunds import RefundImpossible, request_refund
from payments.settling import settle_order
from payments.settling.outcomes import record_closed, record_decline
from payments.settling.result import Result
from payments.states import CaptureStatus, PaymentStatus, RefundStatus
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.at_once import at_once
from tests.support.audited import violations
from tests.support.factories import OpenBasket, line, purchase
from tests.support.till import Charge, Till, only

KEYS = (f"parcel-{number}" for number in count())


@pytest.fixture(autouse=True)
def _charged_at_dispatch(settings: Settings) -> None:
    settings.CAPTURE = "dispatch"
    settings.SHOP_URL = "https://shop.example"


def placed(shelf: list[Product], *, method: str = "pm_card_visa") -> Order:
    """Two pieces of one product and one of another: 10.01 twice and 10.02."""
    basket = OpenBasket([line(shelf[0], 2), line(shelf[1])])
    return place_order(purchase(payment_method=method), basket, now=timezone.now())


@pytest.fixture
def order(shelf: list[Product], till: Till) -> Order:
    """The bank has set its price aside."""
    return authorised(placed(shelf), till)


def authorised(order: Order, till: Till) -> Order:
    till.deliver_messages()
    order.refresh_from_db()
    assert order.status == OrderStatus.AUTHORISED
    return order


def send(order: Order, *pieces: int) -> Shipment:
    """A parcel with so many pieces of each line; with all that is left where none are said."""
    wanted = dict(zip((each.pk for each in order.lines.all()), pieces, strict=False)) or None
    return ship(order, wanted, key=next(KEYS), by="wim", now=timezone.now())


def refused(order: Order, *pieces: int) -> str:
    with pytest.raises(CannotShip) as refusal:
        send(order, *pieces)
    return refusal.value.code


def pay_with_another_card(order: Order) -> None:
    gateway, card = order.gateway, "pm_card_visa"
    pay_again(order, gateway=gateway, payment_method=card, failed_round=1, now=timezone.now())


def amounts(till: Till) -> list[int]:
    return [charge.amount_minor for charge in till.charges()]


def held_minor(till: Till, payment: Payment) -> int:
    """What the bank keeps for the shop, as the gateway tells it."""
    url = f"{till.sandbox_url}/v1/payment_intents/{payment.gateway_payment_id}"
    told = requests.get(url, auth=("sk_test_till", ""), timeout=10).json()
    return int(told["amount_capturable"])


def reasons(order: Order) -> list[str]:
    order.refresh_from_db()
    return [one.reason for one in open_reasons(order)]


def is_set_aside(order: Order) -> bool:
    return order.authorised_until is not None


def said(order: Order) -> str:
    order.refresh_from_db()
    return money_sentence(facts_about(order), order.currency)


def not_to_be_sent(order: Order, *pieces: int, delivery_minor: int = 0) -> Refund:
    wanted = {
        each.pk: RefundedPieces(number)
        for each, number in zip(order.lines.all(), pieces, strict=True)
        if number
    }
    return refund_lines(
        order.payments.get(captures_later=True),
        wanted,
        delivery_minor=delivery_minor,
        reason="Sold out",
        requested_by=None,
        key=next(KEYS),
        now=timezone.now(),
    )


def test_nothing_is_charged_before_something_is_sent(order: Order, till: Till) -> None:
    payment = Payment.objects.get()

    assert amounts(till) == []
    assert (payment.status, payment.captures_later) == (PaymentStatus.AUTHORISED, True)
    assert held_minor(till, payment) == 3004
    assert said(order) == (
        "You have not been charged yet: your bank has set €30.04 aside, which is charged when we "
        "send your order."
    )
    assert list(Mail.objects.values_list("kind", flat=True)) == ["received", "authorised"]
    assert Invoice.objects.count() == 0
    assert violations() == []


def test_one_parcel_is_charged_once(order: Order, till: Till) -> None:
    send(order)
    till.deliver_messages()
    for _ in range(3):
        settle_captures(order.number, only(till.gateway), clock=timezone.now)

    order.refresh_from_db()
    assert till.charges() == [Charge(order.number, 3004, "EUR")]
    assert (order.status, order.authorised_until) == (OrderStatus.PAID, None)
    assert order.sweep_at is None
    assert said(order) == "You were charged once, €30.04."
    assert violations() == []


def test_worker_that_read_the_order_before_its_price_was_set_aside_leaves_the_payment_as_it_is(
    shelf: list[Product], till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQS may show a message a second time while the first worker is about to commit. If the second
    dies after it took the payment, nobody would charge what is sent."""
    read_before = placed(shelf)
    order = authorised(Order.objects.get(pk=read_before.pk), till)
    monkeypatch.setattr(settle_order, "_read_order", lambda *_: (read_before, True))

    result = settle_order.settle_order(order.number, only(till.gateway), clock=timezone.now)

    assert result is Result.BUSY
    assert order.payments.get().status == PaymentStatus.AUTHORISED
    monkeypatch.undo()
    send(order)
    till.deliver_messages()
    assert amounts(till) == [order.total_minor]


def test_each_parcel_is_charged_by_what_is_in_it(order: Order, till: Till) -> None:
    send(order, 1, 0)
    till.deliver_messages()
    after_one = (amounts(till), held_minor(till, Payment.objects.get()), said(order))
    send(order, 1, 1)
    till.deliver_messages()

    assert after_one == (
        [1001],
        2003,
        "You were charged once, €10.01. Your bank has set €20.03 more aside, which is charged when "
        "we send the rest.",
    )
    assert amounts(till) == [1001, 2003]
    assert held_minor(till, Payment.objects.get()) == 0
    assert said(order) == "You were charged with each parcel, €30.04 in all."
    assert [capture.is_last for capture in Capture.objects.all()] == [False, True]
    assert violations() == []


def test_two_parcels_before_the_worker_comes_are_two_charges(order: Order, till: Till) -> None:
    send(order, 0, 1)
    send(order, 2, 0)
    till.deliver_messages()

    assert amounts(till) == [1002, 2002]
    assert violations() == []


def test_what_is_not_sent_is_not_charged(order: Order, till: Till, settings: Settings) -> None:
    settings.SELLER = settings.SELLER or {"name": "Shop", "address": "1 Street", "country": "IE"}
    send(order, 2, 0)
    till.deliver_messages()

    refund = not_to_be_sent(order, 0, 1)
    till.deliver_messages()

    refund.refresh_from_db()
    order.refresh_from_db()
    assert (refund.amount_minor, refund.is_release, refund.status) == (1002, True, "succeeded")
    assert amounts(till) == [2002]
    assert held_minor(till, Payment.objects.get()) == 0
    assert till.gateway.refunds_of(Payment.objects.get().gateway_payment_id) == []
    assert (order.status, order.refunded_minor) == (OrderStatus.PARTLY_REFUNDED, 1002)
    assert order.authorised_until is None
    assert said(order) == "You were charged once, €20.02."
    assert Mail.objects.filter(kind=Mail.Kind.RELEASED).count() == 1
    assert violations() == []


def test_what_is_taken_off_before_anything_is_sent_is_left_out(order: Order, till: Till) -> None:
    refund = not_to_be_sent(order, 1, 0)
    till.deliver_messages()
    refund.refresh_from_db()
    before = (refund.status, order.refunded_minor)
    send(order)
    till.deliver_messages()

    refund.refresh_from_db()
    order.refresh_from_db()
    assert before == (RefundStatus.REQUESTED, 0)
    assert amounts(till) == [2003]
    assert (refund.status, order.refunded_minor) == (RefundStatus.SUCCEEDED, 1001)
    assert order.status == OrderStatus.PARTLY_REFUNDED
    assert violations() == []


def test_all_of_it_cannot_be_taken_off(order: Order) -> None:
    with pytest.raises(RefundImpossible, match="Cancel the order instead"):
        not_to_be_sent(order, 2, 1)


def test_what_was_charged_and_what_was_not_go_back_one_after_the_other(
    order: Order, till: Till
) -> None:
    send(order, 1, 0)
    till.deliver_messages()

    with pytest.raises(RefundImpossible, match="Ask for what was not sent first"):
        not_to_be_sent(order, 2, 1)
    not_to_be_sent(order, 1, 1)  # both were not sent
    till.deliver_messages()
    sent_back = not_to_be_sent(order, 1, 0)
    till.deliver_messages()

    sent_back.refresh_from_db()
    order.refresh_from_db()
    assert (sent_back.is_release, sent_back.status) == (False, RefundStatus.SUCCEEDED)
    assert order.status == OrderStatus.REFUNDED
    assert said(order) == "You were charged once, €10.01. All of it was sent back to you."
    assert violations() == []


def test_refund_by_amount_is_of_what_was_charged(order: Order, till: Till) -> None:
    def ask(amount_minor: int) -> Refund:
        return request_refund(
            Payment.objects.get(),
            amount_minor=amount_minor,
            reason="Broken",
            requested_by=None,
            now=timezone.now(),
        )

    with pytest.raises(RefundImpossible):
        ask(1)
    send(order, 1, 0)
    till.deliver_messages()
    with pytest.raises(RefundImpossible, match=r"€10\.01 is left"):
        ask(1002)
    refund = ask(1001)
    till.deliver_messages()
    send(order)
    till.deliver_messages()

    refund.refresh_from_db()
    assert refund.status == RefundStatus.SUCCEEDED
    assert amounts(till) == [1001, 2003]
    assert violations() == []


def test_what_is_charged_once_only_goes_in_one_parcel(shelf: list[Product], till: Till) -> None:
    order = authorised(placed(shelf, method="pm_sandbox_one_capture"), till)

    assert refused(order, 1, 0) == "one_parcel"
    not_to_be_sent(order, 0, 1)
    till.deliver_messages()
    send(order, 2, 0)
    till.deliver_messages()

    order.refresh_from_db()
    assert amounts(till) == [2002]
    assert (order.status, order.refunded_minor) == (OrderStatus.PARTLY_REFUNDED, 1002)
    assert violations() == []


def test_cancelled_order_is_given_up_at_the_bank(
    order: Order, till: Till, shelf: list[Product]
) -> None:
    payment = Payment.objects.get()
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=timezone.now())
    order.refresh_from_db()
    told_meanwhile = said(order)
    assert refused(order) == "sent"
    till.deliver_messages()

    payment.refresh_from_db()
    order.refresh_from_db()
    assert (amounts(till), held_minor(till, payment)) == ([], 0)
    assert (order.status, payment.status) == (OrderStatus.CANCELLED, PaymentStatus.CANCELLED)
    assert told_meanwhile == "You have not been charged for it."
    assert said(order) == "You have not been charged for it."
    assert [mail.kind for mail in Mail.objects.order_by("id")][-1] == Mail.Kind.CANCELLED
    assert not Mail.objects.filter(kind=Mail.Kind.CALLED_OFF).exists()
    assert not count_differences()
    assert Product.objects.get(pk=shelf[0].pk).stock == 100_000
    assert violations() == []


@pytest.mark.parametrize("is_given_up", [False, True], ids=["asked for", "given up at the bank"])
def test_nothing_is_taken_off_an_order_that_is_being_cancelled(
    order: Order, till: Till, is_given_up: bool
) -> None:
    """Its payment is given up a moment before its own status says so."""
    cancel_paid(order, Canceller.STAFF, by="support", why="", now=timezone.now())
    if is_given_up:
        record_closed(order.payments.get(), now=timezone.now())

    with pytest.raises(RefundImpossible, match="is being cancelled"):
        not_to_be_sent(order, 1, 0)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, order.refunded_minor) == (OrderStatus.CANCELLED, 0)
    assert not Mail.objects.filter(kind=Mail.Kind.RELEASED).exists()
    assert violations() == []


def test_nothing_is_taken_off_an_order_that_was_cancelled_uncharged(
    order: Order, till: Till
) -> None:
    cancel_paid(order, Canceller.STAFF, by="support", why="", now=timezone.now())
    till.deliver_messages()

    with pytest.raises(RefundImpossible, match="was not charged"):
        not_to_be_sent(order, 1, 0)


def test_migration_says_of_such_an_order_that_nothing_was_sent_back(
    order: Order, till: Till
) -> None:
    not_to_be_sent(order, 1, 0)
    cancel_paid(order, Canceller.STAFF, by="support", why="", now=timezone.now())
    till.deliver_messages()
    Refund.objects.update(status=RefundStatus.SUCCEEDED, failure="")
    Order.objects.update(refunded_minor=1001)
    assert violations(of="I4") != []

    with connection.cursor() as cursor:
        cursor.execute(
            import_module(
                "payments.migrations.0032_nothing_sent_back_of_what_was_never_charged"
            ).NEVER_CHARGED
        )

    order.refresh_from_db()
    assert order.refunded_minor == 0
    assert violations() == []


def test_cancelling_that_loses_its_message_is_asked_again(order: Order, till: Till) -> None:
    cancel_paid(order, Canceller.STAFF, by="support", why="", now=timezone.now())
    OutboxMessage.objects.update(published_at=timezone.now())

    sweep(now=timezone.now() + timedelta(minutes=20))
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == OrderStatus.CANCELLED


def test_parcel_whose_message_is_lost_is_charged_by_the_sweep(order: Order, till: Till) -> None:
    send(order, 1, 0)
    OutboxMessage.objects.update(published_at=timezone.now())
    late = timezone.now() + timedelta(minutes=20)
    missing = violations(now=late, of="I13")

    sweep(now=late)
    till.deliver_messages()

    assert len(missing) == 1
    assert amounts(till) == [1001]
    assert violations() == []


def test_second_parcel_whose_message_is_lost_is_charged_too(order: Order, till: Till) -> None:
    send(order, 1, 0)
    till.deliver_messages()
    send(order)
    OutboxMessage.objects.update(published_at=timezone.now())

    sweep(now=timezone.now() + timedelta(minutes=20))
    till.deliver_messages()

    assert amounts(till) == [1001, 2003]


def look(order: Order, till: Till, *, at: datetime) -> None:
    """What sweep and worker do at that time."""
    sweep(now=at)
    OutboxMessage.objects.filter(published_at=None).update(published_at=at)
    settle_captures(order.number, only(till.gateway), clock=lambda: at)


def keep_no_longer(order: Order, till: Till) -> datetime:
    """Time passes until the bank keeps nothing any more, and the shop looks."""
    order.refresh_from_db()
    assert order.authorised_until is not None
    after = order.authorised_until + timedelta(minutes=10)
    till.advance_clock(after - timezone.now())
    look(order, till, at=after)
    return after


def test_a_day_before_the_end_a_person_is_told(order: Order, till: Till) -> None:
    assert order.authorised_until is not None
    until = order.authorised_until
    assert order.sweep_at == until - timedelta(days=1)
    look(order, till, at=until - timedelta(days=1, minutes=1))
    early = reasons(order)
    look(order, till, at=until - timedelta(hours=23, minutes=59))

    assert (early, reasons(order)) == ([], [AUTHORISATION_ENDS])
    send(order)
    till.deliver_messages()
    assert reasons(order) == []


def test_what_the_bank_keeps_no_longer_is_asked_for_again(order: Order, till: Till) -> None:
    keep_no_longer(order, till)

    assert reasons(order) == [LAPSED]
    assert order.status == OrderStatus.PAYMENT_FAILED
    assert not is_set_aside(order)
    assert Payment.objects.get().status == PaymentStatus.EXPIRED
    assert refused(order) == "unpaid"
    assert said(order) == "You have not been charged for it."
    assert violations(but_for="No order waits for a person") == []
    pay_with_another_card(order)
    till.deliver_messages()
    send(order)
    till.deliver_messages()
    assert reasons(order) == []
    assert amounts(till) == [3004]
    assert violations() == []


def test_nothing_is_sent_after_the_end_although_nobody_has_looked(order: Order) -> None:
    Order.objects.update(authorised_until=timezone.now() - timedelta(seconds=1))

    assert refused(order) == "lapsed"


def test_rest_that_the_bank_keeps_no_longer_is_put_before_a_person(
    order: Order, till: Till
) -> None:
    send(order, 1, 0)
    till.deliver_messages()
    keep_no_longer(order, till)

    assert reasons(order) == [LAPSED]
    assert order.status == OrderStatus.PAID
    assert not is_set_aside(order)
    assert amounts(till) == [1001]
    not_to_be_sent(order, 1, 1)
    till.deliver_messages()
    assert reasons(order) == []
    assert said(order) == "You were charged once, €10.01."
    assert violations() == []


def test_rest_that_was_told_as_cancelled_is_not_awaited(order: Order, till: Till) -> None:
    send(order, 1, 0)
    till.deliver_messages()
    payment = Payment.objects.get()
    payment.order = order

    record_lapsed(payment, now=timezone.now())

    assert reasons(order) == [LAPSED]
    assert not is_set_aside(order)
    assert (order.status, Payment.objects.get().status) == (OrderStatus.PAID, PaymentStatus.PAID)


def test_parcel_that_cannot_be_charged_is_put_before_a_person(
    shelf: list[Product], till: Till
) -> None:
    order = authorised(placed(shelf, method="pm_sandbox_capture_declined"), till)
    send(order)
    till.deliver_messages()
    for _ in range(3):
        settle_captures(order.number, only(till.gateway), clock=timezone.now)

    capture = Capture.objects.get()
    assert (capture.status, capture.failure) == (CaptureStatus.FAILED, "card_declined")
    assert reasons(order) == [NOT_CAPTURED]
    assert (order.status, amounts(till)) == (OrderStatus.AUTHORISED, [])


def test_what_was_sent_and_never_charged_is_neither_cancelled_nor_put_on_sale(
    shelf: list[Product], till: Till
) -> None:
    order = authorised(placed(shelf, method="pm_sandbox_capture_declined"), till)
    send(order)
    till.deliver_messages()
    after = keep_no_longer(order, till)
    stock = Product.objects.get(pk=shelf[0].pk).stock

    expire_unpaid(now=after + timedelta(days=30))
    till.deliver_messages()

    order.refresh_from_db()
    assert order.status == OrderStatus.PAYMENT_FAILED
    assert not can_be_cancelled(order)
    assert Product.objects.get(pk=shelf[0].pk).stock == stock
    pay_with_another_card(order)
    till.deliver_messages()
    order.refresh_from_db()
    assert (order.status, amounts(till)) == (OrderStatus.PAID, [3004])
    assert reasons(order) == []
    assert violations() == []


def test_parcel_that_was_marked_by_mistake_is_not_charged_again(order: Order, till: Till) -> None:
    mistake = send(order, 1, 0)
    till.deliver_messages()
    undo_shipment(mistake, by="wim", why="Wrong order", now=timezone.now())
    send(order, 1, 0)
    till.deliver_messages()
    send(order)
    till.deliver_messages()

    order.refresh_from_db()
    assert amounts(till) == [1001, 2003]
    assert (order.status, order.dispatch_status) == (OrderStatus.PAID, DispatchStatus.SENT)
    assert violations() == []


def long_after() -> datetime:
    """When the charge of a parcel that was sent now is overdue."""
    return timezone.now() + SWEEP_GRACE + timedelta(minutes=1)


def test_audit_knows_a_parcel_that_a_charge_for_a_mistake_has_paid_for(
    order: Order, till: Till
) -> None:
    mistake = send(order, 1, 0)
    till.deliver_messages()
    undo_shipment(mistake, by="wim", why="Wrong order", now=timezone.now())
    send(order, 1, 0)
    till.deliver_messages()

    assert amounts(till) == [1001]
    assert violations(now=long_after(), of="I13") == []


def test_audit_finds_a_parcel_that_was_not_charged(order: Order, till: Till) -> None:
    """Also where a parcel was marked as sent by mistake before it."""
    mistake = send(order, 1, 0)
    till.deliver_messages()
    undo_shipment(mistake, by="wim", why="Wrong order", now=timezone.now())
    send(order, 1, 1)

    [found] = violations(now=long_after(), of="I13")
    assert found.startswith(f"{order.number}: a parcel of ")
    assert found.endswith(" is not charged")


def test_mistake_that_is_undone_before_the_charge_is_not_charged(order: Order, till: Till) -> None:
    undo_shipment(send(order, 1, 0), by="wim", why="Wrong order", now=timezone.now())
    till.deliver_messages()

    assert amounts(till) == []
    assert violations() == []


NO_ANSWER = {"capture": raising(OutcomeUnknown("timeout"))}


@pytest.mark.parametrize("is_lost", ["before", "after"])
def test_lost_answer_is_asked_for(order: Order, till: Till, is_lost: str) -> None:
    faulty = FaultyGateway(till.gateway)
    (faulty.before if is_lost == "before" else faulty.after).update(NO_ANSWER)
    send(order, 1, 0)
    settle_captures(order.number, only(faulty), clock=timezone.now)
    till.deliver_messages()
    send(order)
    till.deliver_messages()

    assert amounts(till) == [1001, 2003]
    assert [capture.tries for capture in Capture.objects.order_by("id")] == [2, 1]
    assert violations() == []


def test_lost_answer_is_asked_for_when_keys_are_forgotten(order: Order, till: Till) -> None:
    faulty = FaultyGateway(till.gateway, after=NO_ANSWER)
    send(order, 1, 0)
    settle_captures(order.number, only(faulty), clock=timezone.now)
    Capture.objects.update(key="another-key-altogether")
    till.deliver_messages()

    assert amounts(till) == [1001]
    assert violations() == []


def test_worker_that_is_overtaken_at_the_gateway_charges_nothing_more(
    order: Order, till: Till
) -> None:
    send(order, 1, 0)
    overtaking = [only(till.gateway)]

    def another_worker() -> None:
        if overtaking:
            settle_captures(order.number, overtaking.pop(), clock=timezone.now)

    slow = FaultyGateway(till.gateway, before={"capture": another_worker})
    settle_captures(order.number, only(slow), clock=timezone.now)

    assert overtaking == []
    assert amounts(till) == [1001]
    assert violations() == []


@pytest.mark.parametrize("is_message_lost", [False, True])
def test_parcel_that_leaves_while_a_worker_looks_at_the_rest_is_charged(
    order: Order, till: Till, monkeypatch: pytest.MonkeyPatch, is_message_lost: bool
) -> None:
    """Nothing was due when the worker looked, and the last parcel leaves a moment later."""
    send(order, 1, 0)
    till.deliver_messages()
    honest = capture._look_at_rest

    def look_after_the_last_has_left(*found: Any, **how: Any) -> Any:
        send(order)
        return honest(*found, **how)

    monkeypatch.setattr(capture, "_look_at_rest", look_after_the_last_has_left)
    settle_captures(order.number, only(till.gateway), clock=timezone.now)
    monkeypatch.undo()
    if is_message_lost:
        OutboxMessage.objects.update(published_at=timezone.now())
        sweep(now=timezone.now() + timedelta(minutes=20))
    till.deliver_messages()

    assert amounts(till) == [1001, 2003]
    assert reasons(order) == []
    assert violations() == []


def test_workers_at_once_charge_a_parcel_once(order: Order, till: Till) -> None:
    send(order, 1, 0)
    send(order, 1, 0)

    at_once(*[lambda: settle_captures(order.number, only(till.gateway), clock=timezone.now)] * 8)
    till.deliver_messages()

    assert sorted(amounts(till)) == [1001, 1001]
    assert Capture.objects.count() == 2
    assert violations() == []


def test_card_that_is_set_aside_late_is_given_up_when_another_has_paid(
    shelf: list[Product], till: Till
) -> None:
    order = placed(shelf, method="pm_card_authenticationRequired")
    till.deliver_messages()
    order.refresh_from_db()
    first = Payment.objects.get()
    pay_with_another_card(order)
    till.approve(first)
    till.deliver_messages()
    order.refresh_from_db()
    send(order)
    till.deliver_messages()

    first.refresh_from_db()
    assert (first.status, held_minor(till, first)) == (PaymentStatus.CANCELLED, 0)
    assert amounts(till) == [3004]
    assert violations() == []


def test_declined_card_that_is_set_aside_after_all_is_given_up(
    shelf: list[Product], till: Till
) -> None:
    order = placed(shelf, method="pm_card_authenticationRequired")
    till.deliver_messages()
    order.refresh_from_db()
    first = Payment.objects.get()
    record_decline(first, "authentication_failed", now=timezone.now())
    till.approve(first)
    till.check(order)

    assert held_minor(till, first) == 0
    assert Payment.objects.get().closed_at is not None


def test_charge_at_the_site_of_what_was_cancelled_goes_back(order: Order, till: Till) -> None:
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=timezone.now())
    till.capture_at_the_site(Payment.objects.get(), 3004)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, amounts(till)) == (OrderStatus.REFUNDED, [3004])
    assert Refund.objects.get().amount_minor == 3004
    assert violations() == []


@pytest.mark.parametrize(("asked_minor", "given_up_minor"), [(3005, 0), (3004, 1), (0, 3005)])
def test_database_refuses_more_than_was_set_aside(
    order: Order, asked_minor: int, given_up_minor: int
) -> None:
    with pytest.raises(IntegrityError, match="captures_no_more"):
        Payment.objects.update(capture_minor=asked_minor, released_minor=given_up_minor)


def test_approval_at_the_bank_sets_the_money_aside(shelf: list[Product], till: Till) -> None:
    order = placed(shelf, method="pm_card_authenticationRequired")
    till.deliver_messages()
    order.refresh_from_db()
    till.approve(Payment.objects.get())
    till.check(order)
    order.refresh_from_db()
    assert order.status == OrderStatus.AUTHORISED
    send(order)
    till.deliver_messages()

    assert amounts(till) == [3004]
    assert violations() == []


def test_capture_at_the_gateways_own_site_is_believed(order: Order, till: Till) -> None:
    payment = Payment.objects.get()
    till.capture_at_the_site(payment, 3004)
    till.check(order)
    send(order)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, amounts(till)) == (OrderStatus.PAID, [3004])
    assert Capture.objects.count() == 0
    assert violations() == []


def test_hold_that_is_given_up_at_the_gateways_own_site_is_believed(
    order: Order, till: Till
) -> None:
    till.gateway.cancel(Payment.objects.get().gateway_payment_id, idempotency_key="at-the-site")
    till.check(order)

    assert reasons(order) == [LAPSED]
    assert order.status == OrderStatus.PAYMENT_FAILED


@pytest.mark.parametrize("method", ["pm_ideal", "pm_sepaDebit"])
def test_other_ways_to_pay_take_all_of_it_at_once(
    shelf: list[Product], till: Till, method: str
) -> None:
    order = placed(shelf, method=f"ctoken_abc_{method.removeprefix('pm_')}")
    till.deliver_messages()
    order.refresh_from_db()
    payment = Payment.objects.get()
    if order.status == OrderStatus.ACTION_REQUIRED:
        till.approve(payment)
    else:
        till.end_debit(payment)
    till.check(order)
    send(order)
    till.deliver_messages()

    order.refresh_from_db()
    assert payment.captures_later
    assert (order.status, amounts(till)) == (OrderStatus.PAID, [3004])
    assert Capture.objects.count() == 0
    assert violations() == []


def test_shop_that_charges_at_once_sets_nothing_aside(
    shelf: list[Product], till: Till, settings: Settings
) -> None:
    settings.CAPTURE = "placing"
    order = placed(shelf)
    till.deliver_messages()
    order.refresh_from_db()

    assert (order.status, amounts(till)) == (OrderStatus.PAID, [3004])


def test_what_was_set_aside_is_charged_after_the_shop_has_changed_its_mind(
    order: Order, till: Till, settings: Settings
) -> None:
    settings.CAPTURE = "placing"
    send(order)
    till.deliver_messages()

    assert amounts(till) == [3004]


def test_order_of_which_nothing_is_sent_is_charged_at_once(
    shelf: list[Product], till: Till
) -> None:
    Product.objects.update(is_delivered=False)
    shelf[0].refresh_from_db()
    order = place_order(purchase(), OpenBasket([line(shelf[0])]), now=timezone.now())
    till.deliver_messages()
    order.refresh_from_db()

    assert (order.status, amounts(till)) == (OrderStatus.PAID, [1001])


def test_what_no_parcel_has_is_charged_with_the_first(shelf: list[Product], till: Till) -> None:
    Product.objects.filter(pk=shelf[1].pk).update(is_delivered=False)
    shelf[1].refresh_from_db()
    order = authorised(placed(shelf), till)
    send(order, 1)
    till.deliver_messages()
    send(order)
    till.deliver_messages()

    assert amounts(till) == [2003, 1001]
    assert violations() == []


Mistake = Callable[[Payment], object]

MISTAKES: dict[str, Mistake] = {
    "more is charged than its captures say": lambda payment: Payment.objects.update(
        charged_minor=1000
    ),
    "its captures say more": lambda payment: Capture.objects.update(amount_minor=2000),
    "more was set aside than the order costs": lambda payment: Order.objects.update(
        total_minor=2000, goods_minor=2000
    ),
    "something is given up that no refund has": lambda payment: Payment.objects.update(
        released_minor=1
    ),
    "nothing was charged of what is paid": lambda payment: Payment.objects.update(charged_minor=0),
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_audit_finds_what_is_wrong_with_captures(
    order: Order, till: Till, mistake: Mistake
) -> None:
    send(order, 1, 0)
    till.deliver_messages()
    assert violations(of="I13") == []

    mistake(Payment.objects.get())

    assert violations(of="I13") != []


def test_audit_finds_an_order_whose_payment_nobody_charges(order: Order) -> None:
    """A release that let a second message take what was set aside left such orders."""
    assert violations(of="I13") == []

    order.payments.update(status=PaymentStatus.PROCESSING)

    assert violations(of="I13") == [f"{order.number}: its payment of round 1 is processing"]


def test_migration_has_what_is_sent_of_such_an_order_charged(order: Order, till: Till) -> None:
    order.payments.update(status=PaymentStatus.PROCESSING)
    migration = import_module("payments.migrations.0031_set_aside_is_authorised")

    with connection.cursor() as cursor:
        cursor.execute(migration.SET_ASIDE)
    send(order)
    till.deliver_messages()

    order.refresh_from_db()
    assert (order.status, amounts(till)) == (OrderStatus.PAID, [3004])
    assert violations() == []


def test_audit_lets_a_cancelled_order_give_its_payment_up_first(order: Order) -> None:
    Order.objects.update(cancelled_by="staff")
    order.payments.update(status=PaymentStatus.CANCELLED)

    assert violations(of="I13") == []
