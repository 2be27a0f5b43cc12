"""The audit is silent about a shop in order, and names the row for each promise that is broken."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.matching import identity_of
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OrderEvent, OrderLine
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue
from payments.books.audit import Check, audit_database
from payments.books.card_numbers import audit_card_numbers
from payments.books.gateway_audit import audit_gateway
from payments.books.queue_audit import audit_queue
from payments.gateways.base import Gateway
from payments.gateways.stripe.client import StripeGateway
from payments.models import Payment, PaymentAttempt, Refund
from payments.sandbox.server import SandboxServer
from payments.states import RefundStatus
from tests.support.asked import asked
from tests.support.factories import placed_order
from tests.support.till import Till, impatient, only


def broken() -> dict[str, list[str]]:
    return {f.invariant: f.rows for f in audit_database(timezone.now()) if f.count}


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    order = placed_order(shelf[0])
    till.settle(order)
    return order


@impatient
def test_shop_in_order_has_no_findings(shelf: list[Product], till: Till) -> None:
    methods = ["pm_card_visa", "pm_card_chargeDeclined", "pm_sandbox_timeout_after_charge"]
    for method in methods:
        order = placed_order(shelf[0], payment_method=method)
        till.settle(order)
    placed_order(shelf[0])

    assert broken() == {}
    assert all(not f.count for f in audit_gateway(only(till.gateway), now=timezone.now()))


def charge_without_us(
    till: Till, order: Order, key: str, named: OrderIdentity | None = None
) -> None:
    opened = till.gateway.open(
        asked(order=named or identity_of(order), amount_minor=order.total_minor),
        idempotency_key=f"{key}-open",
    )
    till.gateway.confirm(opened.id, asked(), idempotency_key=f"{key}-confirm")


BREAKS: dict[str, Callable[[Order], object]] = {
    "I2": lambda order: [row.delete() for row in (*order.mails.all(), *order.events.all())],
    "I3": lambda order: Payment.objects.update(amount_minor=1),
    "I4": lambda order: Payment.objects.update(status="declined"),
    "I5": lambda order: Order.objects.update(
        status="placed", sweep_at=timezone.now() - timedelta(hours=1)
    ),
    "I6": lambda order: OrderLine.objects.update(unit_price_minor=1),
    "I8": lambda order: OrderEvent.objects.filter(to_status="paid").update(to_status="refunded"),
}


@pytest.mark.parametrize("invariant", BREAKS)
def test_broken_promise_is_found_and_its_order_named(paid: Order, invariant: str) -> None:
    BREAKS[invariant](paid)

    assert any(paid.number in row for row in broken()[invariant])


def sent_back(amount_minor: int) -> Refund:
    return Refund.objects.create(
        payment=Payment.objects.get(),
        status=RefundStatus.SUCCEEDED,
        amount_minor=amount_minor,
        reason="For the test",
        created_at=timezone.now(),
    )


def second_payment(*, status: str, age: timedelta = timedelta(hours=21)) -> Payment:
    order = Order.objects.get()
    return Payment.objects.create(
        order=order,
        round=2,
        status=status,
        amount_minor=order.total_minor,
        currency=order.currency,
        gateway_payment_id="pi_second",
        created_at=timezone.now() - age,
    )


def attempt(payment: Payment, **outcome: object) -> None:
    PaymentAttempt.objects.create(
        payment=payment, step="confirm", started_at=payment.created_at, **outcome
    )


MONEY_BREAKS: dict[str, tuple[Callable[[], object], str]] = {
    "surplus still here": (lambda: Payment.objects.update(is_surplus=True), "1001 too much"),
    "charged too much": (lambda: Payment.objects.update(charged_minor=1008), "7 too much"),
    "sent back too much": (lambda: sent_back(1002), "1002 of 1001"),
    "charged too little": (lambda: Payment.objects.update(charged_minor=999), "999 for 1001"),
    "two paid": (lambda: second_payment(status="paid"), "2 paid"),
    "sent back without a charge": (
        lambda: (sent_back(5), Payment.objects.update(status="declined")),
        "5 of 0",
    ),
    "sent back unsaid": (lambda: sent_back(300), "says 0, 300 of 1001"),
    "said, not sent back": (lambda: Order.objects.update(refunded_minor=5), "says 5, 0 of 1001"),
    "wholly sent back, still paid": (
        lambda: (sent_back(1001), Order.objects.update(refunded_minor=1001)),
        "order is paid and says 1001",
    ),
    "partly refunded, nothing sent back": (
        lambda: Order.objects.update(status="partly_refunded"),
        "order is partly_refunded and says 0",
    ),
    "refunded without a charge": (
        lambda: (
            Payment.objects.update(status="declined"),
            Order.objects.update(status="refunded"),
        ),
        "order is refunded and says 0",
    ),
    "unknown too long": (
        lambda: second_payment(status="unknown"),
        "round 2 has no outcome since",
    ),
    "processing too long after a call whose end is unknown": (
        lambda: attempt(second_payment(status="processing")),
        "round 2 has no outcome since",
    ),
    "refunded too early": (
        lambda: Order.objects.update(status="refunded"),
        "order is refunded",
    ),
    "needs a person": (lambda: Order.objects.update(needs_person="Look here"), "Look here"),
}


@pytest.mark.parametrize("broken_by", MONEY_BREAKS)
def test_money_that_does_not_add_up_is_found(paid: Order, broken_by: str) -> None:
    break_it, said = MONEY_BREAKS[broken_by]
    break_it()

    rows = [row for rows in broken().values() for row in rows]
    assert any(paid.number in row and said in row for row in rows)


def test_outcome_is_given_time_and_a_call_that_did_nothing_is_no_unknown_outcome(
    paid: Order,
) -> None:
    payment = second_payment(status="unknown", age=timedelta(hours=19))
    assert broken() == {}

    Payment.objects.filter(pk=payment.pk).update(
        status="processing", created_at=timezone.now() - timedelta(hours=21)
    )
    attempt(payment, finished_at=timezone.now(), outcome="NotExecuted")
    assert broken() == {}


def test_surplus_that_was_wholly_sent_back_is_in_order(paid: Order, till: Till) -> None:
    second = second_charge(paid, till)
    surplus = second_payment(status="paid")
    Payment.objects.filter(pk=surplus.pk).update(is_surplus=True, gateway_payment_id=second)
    assert "I3" in broken()
    assert "I3" in broken_at_the_gateway(till.gateway)

    refund_id = send_back(till, second, paid.total_minor)
    Refund.objects.create(
        payment=surplus,
        gateway_refund_id=refund_id,
        status=RefundStatus.SUCCEEDED,
        amount_minor=paid.total_minor,
        reason="For the test",
        created_at=timezone.now(),
    )

    assert broken() == {}
    assert broken_at_the_gateway(till.gateway) == {}


def second_charge(order: Order, till: Till) -> str:
    charge_without_us(till, order, "second")
    since = timezone.now() - timedelta(minutes=5)
    ours = set(Payment.objects.values_list("gateway_payment_id", flat=True))
    [second] = [payment.id for payment in till.gateway.list_since(since) if payment.id not in ours]
    return second


def send_back(till: Till, payment_id: str, amount_minor: int) -> str:
    refund = till.gateway.refund(
        payment_id, amount_minor=amount_minor, currency="EUR", refund_key="", idempotency_key="back"
    )
    return refund.id


def broken_at_the_gateway(gateway: Gateway) -> dict[str, list[str]]:
    return {
        f.invariant: f.rows for f in audit_gateway(only(gateway), now=timezone.now()) if f.count
    }


def test_second_charge_that_was_sent_back_must_be_known_here(paid: Order, till: Till) -> None:
    second = second_charge(paid, till)
    send_back(till, second, paid.total_minor)

    assert second in broken_at_the_gateway(till.gateway)["I3"][0]


def test_charge_that_was_sent_back_there_alone_is_found(paid: Order, till: Till) -> None:
    send_back(till, Payment.objects.get().gateway_payment_id, paid.total_minor)

    assert broken_at_the_gateway(till.gateway) == {
        "I4": [f"{paid.number}: paid here, sent back there"]
    }


def test_part_that_was_sent_back_there_alone_is_found(paid: Order, till: Till) -> None:
    send_back(till, Payment.objects.get().gateway_payment_id, 300)

    assert broken_at_the_gateway(till.gateway) == {
        "I4": [f"{paid.number}: paid here, sent back there"]
    }


def test_charge_that_is_not_recorded_after_an_hour_is_found(paid: Order, till: Till) -> None:
    Payment.objects.update(status="unknown", charged_minor=None)
    Order.objects.update(status="placed", sweep_at=timezone.now())
    assert broken_at_the_gateway(till.gateway) == {}

    Payment.objects.update(created_at=timezone.now() - timedelta(hours=2))

    assert broken_at_the_gateway(till.gateway) == {
        "I4": [f"{paid.number}: charged there, not paid here"]
    }


def test_charge_of_another_amount_there_is_found(paid: Order, till: Till) -> None:
    Payment.objects.update(charged_minor=1000)

    assert broken_at_the_gateway(till.gateway) == {
        "I4": [f"{paid.number}: another payment or amount there than here"]
    }


def test_charges_of_another_shop_on_the_same_account_are_left_alone(
    paid: Order, till: Till
) -> None:
    charge_without_us(till, paid, "foreign", OrderIdentity(number="INV-2026-7"))
    charge_without_us(till, paid, "its number", OrderIdentity(number=paid.number))

    assert broken_at_the_gateway(till.gateway) == {}


def test_what_is_paid_after_the_list_was_read_is_left_out(
    paid: Order, till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(till.gateway, "list_since", lambda since: iter(()))

    assert broken_at_the_gateway(till.gateway) == {}


def test_second_charge_at_the_gateway_is_found(paid: Order, till: Till) -> None:
    charge_without_us(till, paid, "second")

    found = [f for f in audit_gateway(only(till.gateway), now=timezone.now()) if f.count]

    assert [f.invariant for f in found] == ["I3"]
    assert paid.number in found[0].rows[0]


def test_charge_we_do_not_know_is_found(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.settle(order)
    charge_without_us(till, order, "unknown")

    found = [f for f in audit_gateway(only(till.gateway), now=timezone.now()) if f.count]

    assert [f.rows for f in found] == [[f"{order.number}: charged there, not paid here"]]


def test_payment_the_gateway_does_not_know_is_found(
    paid: Order, sandbox_of_nobody: Gateway
) -> None:
    found = [f for f in audit_gateway(only(sandbox_of_nobody), now=timezone.now()) if f.count]

    assert [f.rows for f in found] == [[f"{paid.number}: paid here, not charged there"]]


@pytest.fixture
def sandbox_of_nobody(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    server = SandboxServer(ledger_path=tmp_path_factory.mktemp("nobody") / "ledger.jsonl")
    server.start()
    yield StripeGateway(secret_key="sk_test_x", api_base=server.url)
    server.stop()


def test_command_exits_with_0_and_says_what_it_checked(
    paid: Order, till: Till, settings: Settings, queue: PaymentsQueue
) -> None:
    settings.STRIPE_API_BASE = till.sandbox_url
    out = StringIO()

    call_command("audit_orders", stdout=out)

    assert "1 orders" in out.getvalue()
    assert out.getvalue().count(" ok ") == 39
    assert re.search(r"I1 .* 1 checked", out.getvalue())


def test_command_exits_with_1_and_names_the_row(
    paid: Order, till: Till, settings: Settings, queue: PaymentsQueue
) -> None:
    settings.STRIPE_API_BASE = till.sandbox_url
    Payment.objects.update(amount_minor=1)
    out = StringIO()

    with pytest.raises(CommandError, match="not in order"):
        call_command("audit_orders", "--json", stdout=out)

    report = json.loads(out.getvalue())
    assert report["violations"] == 2  # ours against our own books, and against the gateway's
    assert any(paid.number in row for check in report["checks"] for row in check["rows"])


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_shown_on_a_terminal_alone(
    paid: Order, till: Till, settings: Settings, queue: PaymentsQueue
) -> None:
    settings.STRIPE_API_BASE = till.sandbox_url
    terminal, pipe = Terminal(), StringIO()

    call_command("audit_orders", stdout=StringIO(), stderr=terminal)
    call_command("audit_orders", stdout=StringIO(), stderr=pipe)

    assert "14 checks done" in terminal.getvalue()
    assert "1 payments at the gateway compared" in terminal.getvalue()
    assert pipe.getvalue() == ""


def test_gateway_that_does_not_answer_is_not_taken_for_a_clean_audit(
    paid: Order, settings: Settings, queue: PaymentsQueue
) -> None:
    settings.STRIPE_API_BASE = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="not be asked: gateway"):
        call_command("audit_orders", stdout=StringIO())

    call_command("audit_orders", "--no-gateway", stdout=StringIO())


def test_queue_that_does_not_answer_is_not_taken_for_a_clean_audit(
    paid: Order, settings: Settings
) -> None:
    settings.AWS_ENDPOINT_URL = "http://127.0.0.1:9"

    with pytest.raises(CommandError, match="not be asked: queue"):
        call_command("audit_orders", "--no-gateway", stdout=StringIO())

    call_command("audit_orders", "--no-gateway", "--no-queue", stdout=StringIO())


def test_message_that_is_gone_before_its_outcome_is_found(
    shelf: list[Product], queue: PaymentsQueue
) -> None:
    order = placed_order(shelf[0])
    now = timezone.now()
    later = now + timedelta(minutes=2)
    publish_outbox(queue, now=now)
    assert audit_queue(queue, now=later).count == 0

    [message] = queue.receive(at_most=1, wait_seconds=0)
    assert audit_queue(queue, now=later).count == 0  # in somebody's hands
    queue.delete([message.receipt_handle])

    found = audit_queue(queue, now=later)
    assert (found.count, found.checked) == (1, 1)
    Order.objects.filter(pk=order.pk).update(status="cancelled")
    assert audit_queue(queue, now=later).count == 0


@pytest.mark.parametrize("words", ["To ADA@example.com", "12 Inkwell Lane"])
def test_personal_data_in_the_history_is_found(paid: Order, words: str) -> None:
    OrderEvent.objects.filter(to_status="paid").update(reason=f"Paid. {words}")

    assert broken()["I10"] == [f"{paid.number}: an event or attempt holds personal data"]


@pytest.mark.parametrize("card", ["4242 4242 4242 4242", "12 ４２４２-4242-4242-4242"])
@pytest.mark.parametrize("field", ["full_name", "address", "city", "company", "phone"])
def test_card_number_in_an_order_is_found(paid: Order, card: str, field: str) -> None:
    Order.objects.update(address="Packstation 145 1234567802")
    found = audit_card_numbers()
    assert (found.count, found.checked) == (0, 1)

    Order.objects.update(**{field: f"Lane {card}"})

    assert audit_card_numbers().rows == [f"{paid.number}: a text of it holds a card number"]


def test_card_number_in_the_address_of_a_bill_is_found(paid: Order) -> None:
    Order.objects.update(billing={"city": "4242 4242", "address": "4242 4242"})
    assert audit_card_numbers().count == 0  # two texts are not read as one

    Order.objects.update(billing={"address": "4242 4242 4242 4242"})

    assert audit_card_numbers().count == 1


def test_card_number_in_a_reason_is_found(paid: Order) -> None:
    OrderEvent.objects.filter(to_status="paid").update(explanation="Read 4242-4242-4242-4242")

    assert audit_card_numbers().count == 1


def test_check_may_take_longer_than_a_request(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    slow = Check("I1", "Slow", "orders_order", "SELECT '', '' FROM pg_sleep(0.3) WHERE false")
    monkeypatch.setattr("payments.books.audit.database_checks", lambda now: [slow])
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '100ms'")

    assert [finding.count for finding in audit_database(timezone.now())] == [0]


def test_gateway_is_compared_in_chunks(
    shelf: list[Product], till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of five charges in chunks of two: the statements grow by the chunk, and nothing is missed."""
    monkeypatch.setattr("payments.books.compare.CHUNK", 2)
    orders = [placed_order(shelf[0]) for _ in range(5)]
    for order in orders:
        till.settle(order)
    charge_without_us(till, orders[0], "second")
    Payment.objects.filter(order=orders[4]).update(gateway_payment_id="pi_unheard_of")

    found = {f.invariant: f.rows for f in audit_gateway(only(till.gateway), now=timezone.now())}

    assert sorted(found["I3"]) == sorted(
        f"{order.number}: {second_id(till, order)}" for order in (orders[0], orders[4])
    )
    assert found["I4"] == [f"{orders[4].number}: paid here, not charged there"]


def second_id(till: Till, order: Order) -> str:
    """Of the order's charge that our books do not have."""
    ours = set(Payment.objects.values_list("gateway_payment_id", flat=True))
    since = timezone.now() - timedelta(minutes=5)
    [stranger] = [
        payment.id
        for payment in till.gateway.list_since(since)
        if payment.order.number == order.number and payment.id not in ours
    ]
    return stranger
