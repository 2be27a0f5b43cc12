"""The command names what is lost, says what it did, asks before it does it, and does it once."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OutboxMessage, PaymentsPause, Restore
from checkout.orders.operations import dead_letters
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.pausing import current_pause, is_paused, resume_payments
from checkout.orders.queue.sqs import PaymentsQueue
from checkout.orders.restoring.numbers import serial_of
from config.local.sqs_double.server import QueueServer
from payments.books.lost_orders import seen_to
from payments.gateways.base import OutcomeUnknown
from payments.gateways.example.client import ASKS_CUSTOMER, ExampleGateway
from payments.models import LostOrder, Payment
from tests.payments.restoring.conftest import Runs
from tests.payments.restoring.test_take_over import charged, settle, work
from tests.support.backups import Backup, Takes
from tests.support.books_that_differ import charge_for
from tests.support.factories import placed_order
from tests.support.sellers import SELLER


def run(backup: Backup, *options: str, yes: bool = True) -> str:
    """What the command printed. Raises CommandError."""
    out = StringIO()
    asking = ["--yes"] if yes else []
    since = f"--since={backup.taken_at.isoformat()}"
    call_command("after_restore", since, "--by=ada", *asking, *options, stdout=out, stderr=out)
    return out.getvalue()


def failing(backup: Backup, *options: str, yes: bool = True) -> tuple[str, int, str]:
    out = StringIO()
    asking = ["--yes"] if yes else []
    since = f"--since={backup.taken_at.isoformat()}"
    with pytest.raises(CommandError) as error:
        call_command("after_restore", since, "--by=ada", *asking, *options, stdout=out, stderr=out)
    return str(error.value), error.value.returncode, out.getvalue()


@pytest.fixture
def two_lost(
    nothing_in_the_queue: None, shelf: list[Product], gateway: ExampleGateway, backed_up: Takes
) -> tuple[Backup, Order, Order]:
    """One lost order was charged, and the customer of the other is at their bank's page."""
    backup = backed_up()
    paid, open_ = placed_order(shelf[0]), placed_order(shelf[1], payment_method=ASKS_CUSTOMER)
    settle(paid, gateway)
    settle(open_, gateway)
    backup.restore()
    return backup, paid, open_


def test_every_lost_payment_is_named_for_a_person(
    two_lost: tuple[Backup, Order, Order], gateway: ExampleGateway
) -> None:
    backup, paid, open_ = two_lost

    why, code, said = failing(backup)

    assert (why, code) == ("Something is left for a person; it is named above.", 1)
    named = [(paid, "paid"), (open_, "needs_action")]
    for (order, state), payment in zip(named, gateway.payments, strict=True):
        [row] = [line for line in said.splitlines() if payment in line]
        assert [order.number, order.reference, payment, state] == row.split()[:4]
        assert f"{timezone.now():%Y-%m-%d}" in row
    assert "€10.01" in said
    assert LostOrder.objects.count() == 2


def test_what_is_done_is_said(two_lost: tuple[Backup, Order, Order]) -> None:
    backup, paid, _ = two_lost

    _, _, said = failing(backup)

    assert "Payments are paused, and stay so until `manage.py resume_payments`." in said
    assert "Put out of use: 0 checkout forms that were shown before." in said
    assert f"Orders are numbered from {serial_of(paid.number) + 1 + 10_000} on." in said
    pause = current_pause()
    assert pause
    assert (pause.paused_by, pause.reason) == ("ada", "A backup was restored")
    assert Restore.objects.get().went_back_to == backup.taken_at


def test_second_run_changes_nothing_and_says_so(
    two_lost: tuple[Backup, Order, Order], gateway: ExampleGateway
) -> None:
    backup, *_ = two_lost
    failing(backup)
    resume_payments(by="ada", now=timezone.now())
    rows = list(LostOrder.objects.order_by("pk").values())

    _, code, said = failing(backup)

    assert (code, is_paused()) == (1, False)
    assert "Nothing was left to do. Nothing was changed." in said
    assert "This restore was noted before, on " in said
    assert list(LostOrder.objects.order_by("pk").values()) == rows
    for lost in LostOrder.objects.all():
        seen_to(lost, by="ada", how="Sent back there", now=timezone.now())
    assert "Nothing was changed." in run(backup)


def test_program_is_told_the_same(two_lost: tuple[Backup, Order, Order]) -> None:
    backup, paid, open_ = two_lost

    _, _, said = failing(backup, "--json")

    told = json.loads(said)
    assert told["installation"] == installation_id()
    assert [(one["reference"], one["state"], one["amount_minor"]) for one in told["lost"]] == [
        (paid.reference, "paid", 1001),
        (open_.reference, "needs_action", 1002),
    ]
    assert (told["changed"], told["paused"], told["for_a_person"]) == (True, True, True)


def test_dry_run_shows_and_does_nothing(two_lost: tuple[Backup, Order, Order]) -> None:
    backup, paid, _ = two_lost

    _, code, said = failing(backup, "--dry-run", yes=False)

    assert code == 1
    assert paid.reference in said
    assert "This only shows what would be done" in said
    assert not LostOrder.objects.exists()
    assert not Restore.objects.exists()
    assert not PaymentsPause.objects.exists()


def test_nothing_of_a_lost_order_is_touched_at_the_gateway(
    two_lost: tuple[Backup, Order, Order], gateway: ExampleGateway
) -> None:
    backup, *_ = two_lost
    before = dict(gateway.payments)

    failing(backup)
    work(gateway)

    assert (gateway.payments, gateway.refunds) == (before, {})


def test_strangers_are_counted_and_left_alone(
    nothing_in_the_queue: None, shelf: list[Product], gateway: ExampleGateway, backed_up: Takes
) -> None:
    order = placed_order(shelf[0])
    backup = backed_up()
    for identity in (
        OrderIdentity(number=order.number),
        OrderIdentity(number=order.number, reference=order.reference, installation="another"),
        OrderIdentity(),
    ):
        charge_for(identity, gateway)
        gateway._answers.clear()
    before = dict(gateway.payments)

    said = run(backup)

    assert "3 payments on the account are strangers', and are left alone." in said
    assert not LostOrder.objects.exists()
    assert not Payment.objects.exists()
    assert gateway.payments == before
    work(gateway)
    assert charged(gateway) == 3 * 55 + order.total_minor


@pytest.mark.django_db(transaction=True)
def test_it_asks_first(backed_up: Takes) -> None:
    why, code, _ = failing(backed_up(), yes=False)

    assert (why, code) == ("Nobody to ask, and nothing was done. Repeat with --yes.", 2)
    assert not Restore.objects.exists()


def test_it_does_not_guess_the_last_invoice(
    nothing_in_the_queue: None,
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    settings: Settings,
) -> None:
    settings.SELLER = SELLER
    settle(placed_order(shelf[0]), gateway)
    backup, year = backed_up(), timezone.now().year

    why, code, _ = failing(backup, f"--last-invoice=INV-{year}-000007")

    assert code == 2
    assert f"here the last ones are CN-{year}-000000." in why
    assert not Restore.objects.exists()
    assert not PaymentsPause.objects.exists()
    said = run(backup, f"--last-invoice=INV-{year}-000007", f"--last-invoice=CN-{year}-000000")
    assert f"Left out, because somebody may have seen them: INV {year}: 2 to 7." in said
    assert "Nothing was changed." in run(backup)


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("000123", "is no invoice's number"),
        ("XX-2026-000123", "no number of that series and year can be lost"),
        ("INV-{year}-900000", "is mistyped"),
    ],
)
def test_number_that_cannot_be_meant_is_refused(
    transactional_db: None, backed_up: Takes, settings: Settings, written: str, why: str
) -> None:
    settings.SELLER = SELLER

    said, code, _ = failing(
        backed_up(), f"--last-invoice={written.format(year=timezone.now().year)}"
    )

    assert code == 1
    assert why in said
    assert not Restore.objects.exists()


@pytest.mark.parametrize("since", ["yesterday", "2999-01-01"])
def test_time_that_cannot_be_meant_is_refused(transactional_db: None, since: str) -> None:
    with pytest.raises(CommandError, match="--since"):
        call_command("after_restore", f"--since={since}", "--yes")


def test_gateway_that_does_not_answer_leaves_payments_paused(
    nothing_in_the_queue: None,
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    order = placed_order(shelf[0])
    backup = backed_up()
    settle(order, gateway)
    backup.restore()
    with monkeypatch.context() as away:

        def hang_up(*args: Any) -> Any:
            raise OutcomeUnknown("timeout")

        away.setattr(ExampleGateway, "list_since", hang_up)
        why, code, _ = failing(backup)
    assert (code, is_paused()) == (1, True)
    assert "repeat this before you let them go on" in why

    said = run(backup)

    assert order.number in said
    assert Order.objects.get().status == "paid"


def test_messages_of_lost_orders_are_found_in_the_queue(
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    exact_sqs: QueueServer,
    queue: PaymentsQueue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The gateway has not heard of this order. Its message stays for the worker to see."""
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)
    placed_order(shelf[0])
    backup = backed_up()
    lost = placed_order(shelf[0])
    assert publish_outbox(queue, now=timezone.now()) == 2
    backup.restore()

    _, _, said = failing(backup)

    assert f"{lost.number}" in said
    assert [*LostOrder.objects.values_list("reference", flat=True)] == [lost.reference]
    assert serial_of(placed_order(shelf[0]).number) > serial_of(lost.number)
    assert queue.counts().waiting == 2


def test_message_that_waits_is_no_repetition_for_the_queue(
    shelf: list[Product],
    gateway: ExampleGateway,
    backed_up: Takes,
    after_restore: Runs,
    exact_sqs: QueueServer,
    queue: PaymentsQueue,
) -> None:
    placed_order(shelf[0])
    backup = backed_up()
    publish_outbox(queue, now=timezone.now())
    [sent] = queue.receive(at_most=10, wait_seconds=0)
    queue.delete([sent.receipt_handle])
    backup.restore()

    after_restore(backup)
    resume_payments(by="ada", now=timezone.now())
    publish_outbox(queue, now=timezone.now())

    assert OutboxMessage.objects.get().published_at
    assert queue.counts().all == 1
