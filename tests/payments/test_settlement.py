"""An order is charged once, whatever the gateway does and wherever a worker dies.

A worker's death is played by an exception that nothing catches; real processes are killed in
tests/acceptance.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, transaction
from django.db.transaction import TransactionManagementError
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.attention.reasons import OVERCHARGED, WRONG_AMOUNT
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import Order, OrderEvent, OutboxMessage
from checkout.orders.pausing import pause_payments, resume_payments
from checkout.orders.paying import pay_again
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from payments.gateways.base import (
    Gateway,
    GatewayMisconfigured,
    GatewayPayment,
    GatewayState,
    NotExecuted,
    OutcomeUnknown,
    PaymentRequest,
)
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, PaymentAttempt, Refund
from payments.sandbox.server import SandboxServer
from payments.settling.result import Result, UnknownOrder
from payments.settling.retry import pause_after
from payments.settling.settle_order import settle_order
from payments.settling.steps.before_call import begin_round
from payments.states import PaymentStatus, RefundStatus
from tests.doubles.gateway import FaultyGateway, raising
from tests.support.clock import move_time
from tests.support.factories import placed_order
from tests.support.statements import WRITES, statements
from tests.support.till import Till, impatient, only


class ProcessDied(BaseException):
    """Like SIGKILL: no handler of ours may see it."""


@pytest.fixture
def faulty(gateway: StripeGateway) -> FaultyGateway:
    return FaultyGateway(gateway)


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def settle(order: Order, gateway: Gateway) -> Result:
    """Handle the order's message, which the publisher has sent by then."""
    OutboxMessage.objects.filter(published_at=None).update(published_at=timezone.now())
    return settle_order(order.number, only(gateway), clock=timezone.now)


def lease_runs_out() -> None:
    Payment.objects.update(lease_until=timezone.now() - timedelta(seconds=1))


def assert_paid_once(order: Order, till: Till) -> None:
    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert [charge.order for charge in till.charges()] == [order.number]
    assert order.events.filter(to_status="paid").count() == 1
    assert Payment.objects.filter(order=order, status=PaymentStatus.PAID).count() == 1


def test_order_is_charged_its_amount_in_its_currency(order: Order, till: Till) -> None:
    assert till.settle(order) is Result.PAID

    assert_paid_once(order, till)
    [charge] = till.charges()
    assert (charge.amount_minor, charge.currency) == (order.total_minor, "EUR")
    assert order.sweep_at is None


def test_second_delivery_of_a_settled_order_does_not_even_ask(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    settle(order, faulty)
    calls = len(faulty.calls)

    assert settle(order, faulty) is Result.NOTHING_TO_DO

    assert len(faulty.calls) == calls
    assert_paid_once(order, till)


def test_every_call_is_written_down_with_its_key(order: Order, faulty: FaultyGateway) -> None:
    settle(order, faulty)

    attempts = PaymentAttempt.objects.values_list("step", "idempotency_key", "outcome")
    payment = Payment.objects.get()
    assert list(attempts) == [
        ("open", payment.open_key, "open"),
        ("confirm", payment.confirm_key, "paid"),
    ]
    assert faulty.calls == [("open", payment.open_key), ("confirm", payment.confirm_key)]


def test_each_step_before_a_call_is_one_statement(order: Order, faulty: FaultyGateway) -> None:
    """The round with the call that opens it; then its id, with the end of that call and the call
    that confirms it."""
    with statements(WRITES) as writes:
        faulty.before["open"] = lambda: before.append(len(writes))
        faulty.before["confirm"] = lambda: before.append(len(writes))
        before: list[int] = []
        settle(order, faulty)

    assert before == [2, 3]  # the first is that of the test, for the message that was sent
    assert [attempt.outcome for attempt in PaymentAttempt.objects.all()] == ["open", "paid"]


def test_call_is_known_before_it_is_made(order: Order, faulty: FaultyGateway) -> None:
    known: list[tuple[str, str, bool]] = []

    def look() -> None:
        rows = PaymentAttempt.objects.values_list("step", "outcome", "finished_at")
        known[:] = [(step, outcome, bool(finished)) for step, outcome, finished in rows]

    faulty.before["open"] = look
    faulty.before["confirm"] = raising(ProcessDied())  # type: ignore[arg-type] # not an Exception, on purpose
    with pytest.raises(ProcessDied):
        settle(order, faulty)
    assert known == [("open", "", False)]

    look()
    assert known == [("open", "open", True), ("confirm", "", False)]


def test_two_workers_that_begin_one_round_write_one_call(
    order: Order, faulty: FaultyGateway, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def begun_by_another(*args: object) -> tuple[bool, int | None]:
        monkeypatch.undo()
        Payment.objects.create(
            order=order,
            gateway="stripe",
            round=1,
            status=PaymentStatus.PROCESSING,
            amount_minor=order.total_minor,
            currency=order.currency,
            payment_method=order.payment_method,
            lease_until=timezone.now() + timedelta(seconds=20),
            created_at=timezone.now(),
        )
        return begin_round(*args)  # type: ignore[arg-type] # as it was called

    monkeypatch.setattr("payments.settling.settle_order.begin_round", begun_by_another)

    assert settle(order, faulty) is Result.BUSY

    assert faulty.calls == []
    assert (Payment.objects.count(), PaymentAttempt.objects.count()) == (1, 0)


@pytest.mark.parametrize(
    ("during", "steps"), [("open", ["open"]), ("confirm", ["open", "confirm"])]
)
def test_pause_that_begins_during_a_call_lets_no_other_begin(
    order: Order, faulty: FaultyGateway, till: Till, during: str, steps: list[str]
) -> None:
    faulty.before[during] = lambda: pause_payments(reason="x", by="ada", now=timezone.now())
    settle(order, faulty)

    attempts = PaymentAttempt.objects.order_by("id")
    assert [attempt.step for attempt in attempts] == steps
    assert all(attempt.finished_at for attempt in attempts)
    assert [step for step, _ in faulty.calls] == steps
    resume_payments(by="ada", now=timezone.now())
    lease_runs_out()
    till.settle(order)
    assert_paid_once(order, till)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("step", ["open", "confirm"])
def test_worker_that_dies_around_a_call_leaves_one_charge(
    order: Order, faulty: FaultyGateway, till: Till, step: str, moment: str
) -> None:
    getattr(faulty, moment)[step] = raising(ProcessDied())  # type: ignore[arg-type] # not an Exception, on purpose
    with pytest.raises(ProcessDied):
        settle(order, faulty)
    assert till.settle(order) is Result.BUSY  # its lease lives on

    lease_runs_out()
    assert till.settle(order) is Result.PAID

    assert_paid_once(order, till)


@pytest.mark.parametrize("hours_off", [0, 25], ids=["key known", "key forgotten"])
def test_worker_that_dies_before_storing_the_id_confirms_nothing_else(
    order: Order,
    gateway: StripeGateway,
    till: Till,
    sandbox: SandboxServer,
    monkeypatch: pytest.MonkeyPatch,
    hours_off: int,
) -> None:
    @contextmanager
    def die(place: str) -> Iterator[None]:
        yield
        if place == "intent opened":
            raise ProcessDied

    with monkeypatch.context() as patch:
        patch.setattr("payments.settling.settle_order.fault_points", die)
        with pytest.raises(ProcessDied):
            settle(order, gateway)
    assert Payment.objects.get().gateway_payment_id == ""

    sandbox.clock.advance(hours_off * 60 * 60)
    lease_runs_out()
    till.settle(order)

    assert_paid_once(order, till)
    opened = list(gateway.list_since(order.placed_at - timedelta(minutes=5)))
    states = sorted(payment.state.value for payment in opened)
    # What a forgotten key opened once more was never confirmed; reconciliation cancels it.
    assert states == (["paid"] if not hours_off else ["open", "paid"])


def test_key_forgotten_by_the_gateway_does_not_charge_again(
    order: Order, faulty: FaultyGateway, till: Till, sandbox: SandboxServer
) -> None:
    faulty.after["confirm"] = raising(ProcessDied())  # type: ignore[arg-type] # not an Exception, on purpose
    with pytest.raises(ProcessDied):
        settle(order, faulty)

    sandbox.clock.advance(25 * 60 * 60)  # Stripe drops keys after a day
    lease_runs_out()
    assert till.settle(order) is Result.PAID

    assert_paid_once(order, till)


@impatient
@pytest.mark.parametrize(
    "payment_method", ["pm_sandbox_timeout_after_charge", "pm_sandbox_error_after_charge"]
)
def test_charge_without_an_answer_is_found_by_asking(
    shelf: list[Product], till: Till, payment_method: str
) -> None:
    order = placed_order(shelf[0], payment_method=payment_method)

    assert till.settle(order) is Result.LATER
    order.refresh_from_db()
    payment = Payment.objects.get()
    assert (order.status, payment.status) == (OrderStatus.PLACED, PaymentStatus.UNKNOWN)

    assert till.settle(order) is Result.PAID

    assert_paid_once(order, till)
    steps = PaymentAttempt.objects.values_list("step", flat=True)
    assert list(steps) == ["open", "confirm", "retrieve"]  # asked by id, never confirmed blindly
    keys = PaymentAttempt.objects.exclude(idempotency_key="")
    assert set(keys.values_list("idempotency_key", flat=True)) == {
        payment.open_key,
        payment.confirm_key,
    }


def test_gateway_out_of_reach_is_tried_again_and_pays(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0], payment_method="pm_sandbox_unavailable")

    outcomes = [till.settle(order) for _ in range(3)]

    assert outcomes == [Result.LATER, Result.LATER, Result.PAID]
    assert_paid_once(order, till)


@pytest.mark.parametrize("step", ["open", "confirm"])
@pytest.mark.parametrize("error", [NotExecuted("rate_limit"), OutcomeUnknown("timeout")])
def test_trying_later_is_an_outbox_message_ever_further_away(
    order: Order,
    faulty: FaultyGateway,
    till: Till,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: Exception,
) -> None:
    faulty.before[step] = raising(error)
    asked_at, pauses = timezone.now(), []
    move_time(monkeypatch, asked_at)
    for _ in range(6):
        assert settle(order, faulty) is Result.LATER
        latest = OutboxMessage.objects.latest("id")
        pauses.append((latest.available_at - asked_at).total_seconds())

    for tries, pause in enumerate(pauses):
        assert 0.5 * 2**tries <= pause <= 2**tries
    faulty.before.clear()
    settle(order, faulty)
    assert_paid_once(order, till)


@pytest.mark.parametrize("step", ["open", "confirm"])
def test_call_that_is_under_way_for_a_dead_process_is_made_again_at_once(
    order: Order, faulty: FaultyGateway, till: Till, step: str
) -> None:
    left = [NotExecuted("idempotency_key_in_use", is_under_way=True)]

    def refuse_once() -> None:
        if left:
            raise left.pop()

    faulty.before[step] = refuse_once

    assert settle(order, faulty) is Result.PAID
    assert OutboxMessage.objects.count() == 1  # none to come back by
    assert_paid_once(order, till)


def test_call_that_is_under_way_for_longer_comes_back_by_the_queue(
    order: Order, faulty: FaultyGateway
) -> None:
    faulty.before["open"] = raising(NotExecuted("idempotency_key_in_use", is_under_way=True))

    assert settle(order, faulty) is Result.LATER


def test_call_that_is_under_way_for_a_dead_process_is_waited_for_more_shortly() -> None:
    is_under_way, now = NotExecuted("idempotency_key_in_use", is_under_way=True), timezone.now()

    assert pause_after(is_under_way, 0, gateway="stripe", now=now) <= timedelta(seconds=0.25)
    assert pause_after(is_under_way, 5, gateway="stripe", now=now) <= timedelta(seconds=0.5)
    # For so long something else holds it.
    assert pause_after(is_under_way, 500, gateway="stripe", now=now) >= timedelta(minutes=30)
    assert pause_after(NotExecuted("rate_limit"), 0, gateway="stripe", now=now) >= timedelta(
        seconds=0.5
    )


def test_pause_is_never_longer_than_an_hour(order: Order, faulty: FaultyGateway) -> None:
    faulty.before["open"] = raising(NotExecuted("rate_limit", retry_after_seconds=86_400))
    settle(order, faulty)
    Payment.objects.update(tries=500)
    settle(order, faulty)

    farthest = OutboxMessage.objects.latest("available_at").available_at
    assert farthest <= timezone.now() + timedelta(hours=1)


def test_gateway_that_names_a_pause_is_given_it(order: Order, faulty: FaultyGateway) -> None:
    faulty.before["open"] = raising(NotExecuted("rate_limit", retry_after_seconds=120))
    asked_at = timezone.now()

    settle(order, faulty)

    available_at = OutboxMessage.objects.latest("id").available_at
    assert (available_at - asked_at).total_seconds() >= 120


def test_misconfigured_gateway_alerts_and_spends_no_try(
    order: Order, faulty: FaultyGateway, till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    faulty.before["open"] = raising(GatewayMisconfigured("invalid_api_key"))

    assert settle(order, faulty) is Result.LATER

    payment = Payment.objects.get()
    assert (payment.status, payment.tries) == (PaymentStatus.PROCESSING, 0)
    told = [record.levelname for record in caplog.records if record.levelname != "INFO"]
    assert told == ["ERROR"]
    faulty.before.clear()
    settle(order, faulty)
    assert_paid_once(order, till)


def test_declined_card_is_paid_again_on_the_same_order(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    assert till.settle(order) is Result.DECLINED
    order.refresh_from_db()
    assert order.status == OrderStatus.PAYMENT_FAILED
    assert till.charges() == []

    pay_again(
        order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=timezone.now()
    )
    assert till.settle(order) is Result.PAID

    assert_paid_once(order, till)
    first, second = Payment.objects.order_by("round")
    assert first.open_key != second.open_key  # a key of its own: the gateway replays answers
    assert first.closed_at is not None  # and the first card can never be charged any more


def test_earlier_card_that_succeeds_late_pays_and_the_new_one_is_never_opened(
    shelf: list[Product], faulty: FaultyGateway, till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    pay_again(
        order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=timezone.now()
    )
    first = Payment.objects.get(round=1)
    charged = GatewayPayment(
        id=first.gateway_payment_id,
        state=GatewayState.PAID,
        amount_minor=order.total_minor,
        currency="EUR",
        order=identity_of(order),
    )

    class LateSuccess(FaultyGateway):
        def cancel(self, payment_id: str, *, idempotency_key: str) -> GatewayPayment:
            self.calls.append(("cancel", payment_id))
            return charged

    late = LateSuccess(faulty.inner)
    assert settle(order, late) is Result.PAID

    order.refresh_from_db()
    assert order.status == OrderStatus.PAID
    assert late.calls == [("cancel", first.gateway_payment_id)]
    assert till.charges() == []  # nothing was charged to the second card
    statuses = Payment.objects.order_by("round").values_list("status", flat=True)
    assert list(statuses) == [PaymentStatus.PAID, PaymentStatus.CANCELLED]


def test_new_round_waits_until_the_earlier_one_is_certainly_closed(
    shelf: list[Product], faulty: FaultyGateway, till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    pay_again(
        order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=timezone.now()
    )
    faulty.before["cancel"] = raising(OutcomeUnknown("timeout"))

    assert settle(order, faulty) is Result.LATER

    assert [step for step, _ in faulty.calls] == ["cancel"]
    faulty.before.clear()
    settle(order, faulty)
    assert_paid_once(order, till)


@impatient
def test_unknown_outcome_never_opens_a_round_for_a_new_card(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_sandbox_timeout_after_charge")
    till.settle(order)

    assert not pay_again(
        order, gateway="stripe", payment_method="pm_card_visa", failed_round=1, now=timezone.now()
    )

    till.settle(order)
    assert_paid_once(order, till)


def test_payment_method_the_gateway_does_not_know_is_a_decline(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_nobody_issued_this")

    assert till.settle(order) is Result.DECLINED

    order.refresh_from_db()
    assert order.status == OrderStatus.PAYMENT_FAILED


def test_many_workers_at_once_charge_once(
    order: Order, gateway: StripeGateway, till: Till, settings: Settings
) -> None:
    barrier = threading.Barrier(6)

    def work(_: int) -> Result:
        try:
            barrier.wait()
            return settle(order, gateway)
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        outcomes = list(pool.map(work, range(6)))

    assert outcomes.count(Result.PAID) == 1
    assert set(outcomes) <= {Result.PAID, Result.BUSY, Result.NOTHING_TO_DO}
    assert_paid_once(order, till)


def test_workers_without_any_lease_still_charge_once(
    order: Order, gateway: StripeGateway, till: Till, settings: Settings
) -> None:
    """The lease saves work. What gives exclusivity is the stored key, the id and the UPDATE."""
    settings.PAYMENT_LEASE_SECONDS = -1
    barrier = threading.Barrier(4)

    def work(_: int) -> Result:
        try:
            barrier.wait()
            return settle(order, gateway)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    till.settle(order)

    assert_paid_once(order, till)


def test_overtaken_worker_does_not_undo_the_outcome(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    def overtaken() -> None:
        lease_runs_out()
        till.settle(order)
        raise OutcomeUnknown("timeout")

    faulty.after["confirm"] = overtaken
    settle(order, faulty)

    assert_paid_once(order, till)
    assert OutboxMessage.objects.filter(order=order).count() == 1  # nothing is asked again


def test_repeated_call_is_the_same_call_although_a_setting_has_changed(
    order: Order, gateway: StripeGateway, settings: Settings, till: Till
) -> None:
    told: list[str] = []

    class Listening(FaultyGateway):
        def confirm(
            self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
        ) -> GatewayPayment:
            told.append(request.return_url)
            if len(told) == 1:
                raise NotExecuted("rate_limit")
            return self.inner.confirm(payment_id, request, idempotency_key=idempotency_key)

    listening = Listening(gateway)
    for address in ("http://shop.example", "http://new.example"):
        settings.SHOP_URL = address
        settle(order, listening)

    assert told == [f"http://shop.example/orders/{order.reference}/"] * 2
    assert_paid_once(order, till)


def test_overtaken_worker_with_an_old_answer_does_not_undo_the_outcome(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    class WithOldAnswer(FaultyGateway):
        def confirm(
            self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
        ) -> GatewayPayment:
            lease_runs_out()
            till.settle(order)
            answer = self.inner.retrieve(payment_id)
            return replace(answer, state=GatewayState.CANCELLED)

    settle(order, WithOldAnswer(faulty.inner))

    assert_paid_once(order, till)


def test_overtaken_worker_neither_confirms_nor_keeps_what_it_opened(
    order: Order, faulty: FaultyGateway, till: Till, sandbox: SandboxServer
) -> None:
    def overtaken() -> None:
        sandbox.clock.advance(25 * 60 * 60)  # the gateway has forgotten the key by then
        lease_runs_out()
        till.settle(order)

    faulty.after["open"] = overtaken
    settle(order, faulty)

    assert_paid_once(order, till)
    known = faulty.retrieve(Payment.objects.get().gateway_payment_id)
    assert known.state is GatewayState.PAID
    # The one that was overtaken has not even begun to confirm what it opened.
    keyed = PaymentAttempt.objects.exclude(idempotency_key="")
    assert [attempt.step for attempt in keyed] == ["open", "open", "confirm"]
    assert all(attempt.finished_at for attempt in keyed)


def test_clock_of_a_worker_that_is_wrong_does_not_end_a_lease(
    order: Order, faulty: FaultyGateway, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty.before["open"] = raising(ProcessDied())  # type: ignore[arg-type] # not an Exception, on purpose
    with pytest.raises(ProcessDied):
        settle(order, faulty)
    move_time(monkeypatch, timezone.now() + timedelta(days=1))

    assert till.settle(order) is Result.BUSY


def test_cancelled_order_is_never_charged(order: Order, faulty: FaultyGateway, till: Till) -> None:
    """Its message may still be on the way."""
    transition(order.pk, OrderStatus.CANCELLED, reason="Cancelled", now=timezone.now())

    assert settle(order, faulty) is Result.NOTHING_TO_DO

    assert faulty.calls == []
    assert not Payment.objects.exists()


def test_settling_inside_a_transaction_is_refused(order: Order, till: Till) -> None:
    with transaction.atomic(), pytest.raises(TransactionManagementError):
        till.settle(order)

    assert till.charges() == []


def test_gateway_is_never_called_inside_a_transaction(order: Order, faulty: FaultyGateway) -> None:
    inside: list[bool] = []
    for step in ("open", "confirm"):
        faulty.before[step] = lambda: inside.append(connection.in_atomic_block)

    settle(order, faulty)

    assert inside == [False, False]


def test_no_call_is_begun_after_the_deadline(
    order: Order, faulty: FaultyGateway, till: Till
) -> None:
    spent = timedelta(0)

    def a_slow_minute() -> None:
        nonlocal spent
        spent = timedelta(seconds=61)

    faulty.after["open"] = a_slow_minute
    outcome = settle_order(order.number, only(faulty), clock=lambda: timezone.now() + spent)

    assert outcome is Result.LATER
    assert [step for step, _ in faulty.calls] == ["open"]
    till.settle(order)
    assert_paid_once(order, till)


class Charging(FaultyGateway):
    """Charges another amount than it was asked for, or says so."""

    by: int = 0

    def confirm(
        self, payment_id: str, request: PaymentRequest, *, idempotency_key: str
    ) -> GatewayPayment:
        answer = super().confirm(payment_id, request, idempotency_key=idempotency_key)
        return replace(answer, amount_minor=answer.amount_minor + self.by)


def test_charge_of_too_little_is_put_before_a_person(
    order: Order, faulty: FaultyGateway, caplog: pytest.LogCaptureFixture
) -> None:
    less = Charging(faulty.inner)
    less.by = -1

    settle(order, less)

    order.refresh_from_db()
    assert order.status == OrderStatus.PLACED
    assert order.needs_person == WRONG_AMOUNT
    assert any("another amount" in record.getMessage() for record in caplog.records)


def test_charge_of_too_much_pays_and_prepares_the_refund_of_the_difference(
    order: Order, faulty: FaultyGateway
) -> None:
    more = Charging(faulty.inner)
    more.by = 7

    settle(order, more)

    order.refresh_from_db()
    assert (order.status, order.needs_person) == (OrderStatus.PAID, OVERCHARGED)
    refund = Refund.objects.get()
    assert (refund.amount_minor, refund.status) == (7, RefundStatus.PREPARED)


def test_number_of_no_order_settles_nothing(shelf: list[Product], gateway: StripeGateway) -> None:
    with pytest.raises(UnknownOrder):
        settle_order("999999-99", only(gateway), clock=timezone.now)


def test_outcome_event_and_payment_are_one_transaction(
    order: Order, gateway: StripeGateway, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*args: object, **fields: object) -> None:
        raise ProcessDied

    with monkeypatch.context() as patch:
        patch.setattr("payments.settling.outcomes.store_paid", lambda *args, **fields: None)
        patch.setattr("payments.settling.outcomes.move_order", die)
        with pytest.raises(ProcessDied):
            settle(order, gateway)
    assert Payment.objects.get().status == PaymentStatus.PROCESSING
    assert not OrderEvent.objects.filter(to_status="paid").exists()

    lease_runs_out()
    till.settle(order)

    assert_paid_once(order, till)
