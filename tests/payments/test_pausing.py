"""While payments are paused nobody calls the gateway, and nothing is lost or piled up."""

import json
import threading
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import IntegrityError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders import pausing
from checkout.orders.models import Order, OrderEvent, OutboxMessage, PaymentsPause
from checkout.orders.outbox import publisher
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.outbox.sweep import sweep
from checkout.orders.pausing import current_pause, is_paused, pause_payments, resume_payments
from checkout.orders.queue.sqs import PaymentsQueue
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, PaymentAttempt
from payments.worker.handle import Verdict, handle
from payments.worker.worker import Worker
from tests.doubles.gateway import FaultyGateway
from tests.payments.test_worker import about, running
from tests.support.factories import placed_order
from tests.support.processes import eventually
from tests.support.till import Till, only

pytestmark = pytest.mark.usefixtures("threads_leave_no_connection", "empty_receives_wait")


def pause() -> bool:
    return pause_payments(reason="The gateway asked for it", by="ada", now=timezone.now())


def resume() -> bool:
    return resume_payments(by="ben", now=timezone.now())


def test_pause_is_known_at_once_where_it_is_made_and_cheap_to_ask_for(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pausing, "LOOK_SECONDS", 60.0)
    assert not is_paused()

    assert pause()

    with CaptureQueriesContext(connection) as captured:
        assert [is_paused() for _ in range(100)] == [True] * 100
    assert len(captured) == 1
    assert resume()
    assert not is_paused()


def test_first_reason_of_a_pause_stands_until_it_is_over(db: None) -> None:
    pause()

    assert not pause_payments(reason="Another", by="ben", now=timezone.now())

    current = current_pause()
    assert current is not None
    assert (current.reason, current.paused_by) == ("The gateway asked for it", "ada")
    assert resume()
    assert not resume()
    assert pause_payments(reason="Another", by="ben", now=timezone.now())
    current = current_pause()
    assert current is not None
    assert (current.reason, current.resumed_by) == ("Another", "")


def test_there_is_one_row_at_most(db: None) -> None:
    with pytest.raises(IntegrityError, match="one_row"), transaction.atomic():
        PaymentsPause.objects.create(pk=2, reason="x", paused_by="x", paused_at=timezone.now())


def test_message_in_hand_is_put_off_without_a_call_and_without_a_receive(
    shelf: list[Product], gateway: StripeGateway, till: Till
) -> None:
    order = placed_order(shelf[0])
    OutboxMessage.objects.update(published_at=timezone.now())
    pause()

    verdict = handle(about(order), only(gateway))

    assert verdict == (Verdict.DELETE, 0)
    assert not PaymentAttempt.objects.exists()
    [later] = OutboxMessage.objects.filter(published_at=None)
    assert (later.order, later.kind) == (order, "settle_payment")
    resume()
    till.deliver_messages()
    assert Order.objects.get().status == "paid"
    assert len(till.charges()) == 1


def test_settlement_under_way_stops_before_its_next_call(
    shelf: list[Product], gateway: StripeGateway, till: Till
) -> None:
    order = placed_order(shelf[0])
    faulty = FaultyGateway(gateway, before={"open": pause})

    assert handle(about(order), only(faulty)) == (Verdict.DELETE, 0)

    assert [step for step, _ in faulty.calls] == ["open"]
    assert Payment.objects.get().status == "processing"
    resume()
    till.deliver_messages()
    assert Order.objects.get().status == "paid"
    assert len(till.charges()) == 1


def test_worker_receives_nothing_while_paused(
    shelf: list[Product], queue: PaymentsQueue, gateway: StripeGateway, till: Till
) -> None:
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())
    pause()

    with running(Worker(queue, only(gateway), threads=2, wait_seconds=0)):
        threading.Event().wait(1.5)
        assert queue.counts().waiting == 1
        assert till.charges() == []
        resume()
        eventually(lambda: queue.counts().all == 0)

    assert len(till.charges()) == 1


def test_two_days_of_pause_pile_up_nothing(
    shelf: list[Product], queue: PaymentsQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "IDLE_SECONDS", 0.01)
    sent_before, placed_meanwhile = placed_order(shelf[0]), None
    publish_outbox(queue, now=timezone.now())
    pause()
    placed_meanwhile = placed_order(shelf[0])

    start = timezone.now()
    for quarter in range(2 * 24 * 4):
        sweep(now=start + timedelta(minutes=15 * (quarter + 1)))
    stopping = threading.Event()
    threading.Timer(0.5, stopping.set).start()
    publisher.run(queue, stopping)

    assert queue.counts().all == 1
    assert OutboxMessage.objects.filter(order=placed_meanwhile, published_at=None).count() == 1
    assert not OrderEvent.objects.filter(kind=OrderEvent.Kind.SWEPT).exists()
    # And the audit, which knows no pause, sees that none is forgotten.
    end = start + timedelta(days=2)
    assert Order.objects.filter(sweep_at__gt=end).count() == 2
    resume()
    assert sweep(now=end + timedelta(minutes=16)) == 1
    [again] = OutboxMessage.objects.filter(order=sent_before)
    assert again.generation == 2


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_commands_pause_and_resume(db: None) -> None:
    assert "are paused" in run("pause_payments", "--reason", "An outage", "--by", "ada")
    assert "already" in run("pause_payments", "--reason", "Something else")
    told = json.loads(run("pause_payments", "--reason", "Something else", "--json"))
    assert (told["paused"], told["by"], told["reason"]) == (True, "ada", "An outage")

    assert run("resume_payments", "--yes") == "Payments go on.\n"
    assert not is_paused()
    assert run("resume_payments") == "Payments were not paused.\n"
    assert json.loads(run("resume_payments", "--json")) == {"paused": False, "was_paused": False}


def test_resuming_without_anybody_to_ask_is_refused(
    db: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", StringIO("y\n"))
    pause()

    with pytest.raises(CommandError, match="Nobody to ask") as raised:
        run("resume_payments")

    assert raised.value.returncode == 2
    assert is_paused()


@pytest.mark.parametrize(("answer", "goes_on"), [("y\n", True), ("\n", False), ("", False)])
def test_resuming_asks_on_a_terminal(
    db: None, monkeypatch: pytest.MonkeyPatch, answer: str, goes_on: bool
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    pause()

    exit_code = 0
    try:
        run("resume_payments")
    except CommandError as error:
        exit_code = error.returncode

    assert exit_code == (0 if goes_on else 1)
    assert is_paused() is not goes_on


@pytest.mark.parametrize("written", ["", "  ", "x" * 121, "a\x1bb"])
def test_reason_has_to_say_something_short(db: None, written: str) -> None:
    with pytest.raises(CommandError, match="reason"):
        run("pause_payments", "--reason", written)
