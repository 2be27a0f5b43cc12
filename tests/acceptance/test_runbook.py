"""Each page of docs/runbook.md as an operator uses it: the shop's own processes are broken as the
page says, its commands are run, and what "Fixed when" promises is held.

The page about a full disk is gone through in test_disk_full.
"""

import json
import os
import secrets
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import requests
from django.contrib.auth.models import User
from django.utils import timezone
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.identity.matching import identity_of
from checkout.orders.models import (
    Mail,
    Order,
    OutboxMessage,
    WebhookDelivery,
    Withdrawal,
    open_deliveries,
)
from checkout.orders.operations.dead_letters import list_dead_letters
from checkout.orders.outbox.messages import encode
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import PaymentsQueue, sqs_client
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks.endpoints import add_endpoint
from checkout.orders.withdrawals.state import Stated, state_withdrawal
from config.local.processes import free_port
from config.local.sqs_double.server import QueueServer
from payments.books.lost_orders import agree_to_give_up, seen_to
from payments.models import LostOrder, Payment, PaymentAttempt
from payments.sandbox.server import SandboxServer
from payments.withdrawals import CANCEL, agree
from tests.acceptance.test_liveness import is_alive
from tests.acceptance.test_metrics import scraped
from tests.doubles.smtp import mail_server
from tests.doubles.webhook_receiver import webhook_receiver
from tests.orders.test_dead_letters import dead_letter_of, put_away
from tests.support.asked import asked
from tests.support.backups import Takes
from tests.support.factories import placed_order
from tests.support.long import long
from tests.support.processes import ShopProcesses, eventually, state_of
from tests.support.runbook import OnDuty, page, pages
from tests.support.sandbox_faults import make_faults
from tests.support.shopper import read_form
from tests.support.till import Till, all_paid, assert_each_paid_once
from tests.support.webhook_kinds import AFTER_PLACING

# What each command does has tests of its own; here all of them are gone through as at night.
pytestmark = [pytest.mark.usefixtures("exact_sqs"), long]

Open = Callable[..., OnDuty]

GONE_THROUGH_ELSEWHERE = {"The database's disk is nearly full"}


@pytest.fixture(autouse=True)
def _short_times(settings: Settings) -> None:
    settings.MESSAGE_VISIBILITY_SECONDS = 3
    settings.PAYMENT_LEASE_SECONDS = 2


@pytest.fixture
def on_duty(processes: ShopProcesses) -> Open:
    """`on_duty("Mails wait", NUMBER=…)`: that page, and somebody who goes by it."""

    def turn_to(title: str, **placeholders: str) -> OnDuty:
        return OnDuty(page(title), processes, placeholders)

    return turn_to


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def outage(sandbox: SandboxServer, *, is_on: bool) -> None:
    make_faults(sandbox, outage=is_on, calm=not is_on)


def put_off_question() -> None:
    """The gateway is to be asked again, and then no sooner than in an hour: a command that has it
    asked now must not find the question already on its way."""

    def is_put_off() -> bool:
        now = timezone.now()
        waiting = OutboxMessage.objects.filter(
            published_at=None, claimed_until=None, available_at__gt=now
        )
        return waiting.update(available_at=now + timedelta(hours=1)) == 1

    eventually(is_put_off, what="a question that waits")


def counted(port: int, name: str) -> float:
    """Of one process, over everything its labels tell apart."""
    figures = scraped(f"http://127.0.0.1:{port}/metrics")
    return sum(value for key, value in figures.items() if key.startswith(name))


def test_every_page_is_gone_through() -> None:
    told = Path(__file__).read_text()
    assert {each.title for each in pages() if f'on_duty("{each.title}"' not in told} == (
        GONE_THROUGH_ELSEWHERE
    )


def test_queue_that_takes_nothing(
    processes: ShopProcesses,
    exact_sqs: QueueServer,
    shelf: list[Product],
    on_duty: Open,
    till: Till,
) -> None:
    duty = on_duty("The queue takes nothing")
    publisher, worker = processes.publisher(), processes.worker()
    for process, words in ((publisher, "Publishing to"), (worker, "Receiving from")):
        eventually(partial(processes.has_said, process, words), seconds=60, what=words)
    exact_sqs.stop()
    placed_order(shelf[0])
    failed = "Publishing failed, will go on trying"
    eventually(lambda: processes.has_said(publisher, failed), seconds=60, what="saying so")

    assert "The queue could not be asked" in duty.does("Look", exit_codes=(1,))
    back = QueueServer(port=exact_sqs.port)  # which has forgotten everything
    back.start()
    try:
        assert "created" in duty.does("Fix", block=0)

        assert_each_paid_once(till)
        waiting = OutboxMessage.objects.filter(published_at=None)
        eventually(lambda: not waiting.exists(), what="recording that it was published")
        assert "Payments are on." in duty.does("Fixed when")
    finally:
        processes.stop()
        back.stop()


def test_queue_that_is_lost_for_good(
    processes: ShopProcesses,
    exact_sqs: QueueServer,
    queue: PaymentsQueue,
    shelf: list[Product],
    on_duty: Open,
    till: Till,
) -> None:
    """Another one in another region takes over, under another name. Days later the old one comes
    back with its messages, and with a worker that nobody has told."""
    duty, old = on_duty("The queue takes nothing"), dict(processes.environment)
    publisher = processes.publisher()
    for _ in range(3):
        placed_order(shelf[0])
    waiting = OutboxMessage.objects.filter(published_at=None)
    eventually(lambda: not waiting.exists(), seconds=60, what="publishing everything")
    publisher.terminate()
    assert publisher.wait(timeout=60) == 0
    processes.environment = old | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port()}"}
    assert "The queue could not be asked" in duty.does("Look", exit_codes=(1,))

    elsewhere = QueueServer()
    elsewhere.start()
    try:
        processes.environment = old | {
            "AWS_ENDPOINT_URL": elsewhere.url,
            "PAYMENTS_QUEUE_NAME": "payments-elsewhere.fifo",
        }
        assert "created" in duty.does("Fix", block=0)
        processes.publisher()
        processes.worker()
        Order.objects.update(placed_at=timezone.now() - timedelta(seconds=2))
        assert "3 of 3 orders" in duty.does("Fix", block=1)

        assert_each_paid_once(till)
        assert "Payments are on." in duty.does("Fixed when")

        assert queue.counts().waiting == 3
        calls = PaymentAttempt.objects.count()
        processes.worker(
            **{name: old[name] for name in ("AWS_ENDPOINT_URL", "PAYMENTS_QUEUE_NAME")}
        )
        eventually(lambda: queue.counts().all == 0, seconds=60, what="emptying the old queue")
        assert_each_paid_once(till)
        assert len(till.charges()) == 3
        assert PaymentAttempt.objects.count() == calls
    finally:
        processes.stop()
        elsewhere.stop()


def test_payments_that_wait(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till
) -> None:
    duty = on_duty("Payments wait")
    OutboxMessage.objects.update(published_at=timezone.now())  # and SQS has lost it
    Order.objects.update(placed_at=timezone.now() - timedelta(minutes=21))

    assert "would be queued again" in duty.does("Look")
    processes.publisher()
    processes.worker()
    assert "1 of 1 orders" in duty.does("Fix")

    assert_each_paid_once(till)
    duty.does("Fixed when")


def test_gateway_that_is_away_and_a_pause(
    processes: ShopProcesses, sandbox: SandboxServer, order: Order, on_duty: Open, till: Till
) -> None:
    duty, pause = (
        on_duty("The gateway is away", NUMBER=order.number),
        on_duty("Payments are paused"),
    )
    outage(sandbox, is_on=True)
    processes.publisher()
    processes.worker()
    waiting = OutboxMessage.objects.filter(published_at=None, available_at__gt=timezone.now())
    eventually(waiting.exists, seconds=60, what="asking in vain")

    assert "Open: OutcomeUnknown" in duty.does("Look")
    assert "Payments are paused." in duty.does("Fix", block=0)
    assert "PAUSED" in pause.does("Look")
    outage(sandbox, is_on=False)
    # As after a long outage.
    Order.objects.update(placed_at=timezone.now() - timedelta(hours=9))
    OutboxMessage.objects.update(available_at=timezone.now() + timedelta(hours=1))
    assert "Payments go on." in pause.does("Fix")
    assert "goes out now" in duty.does("Fix", block=1)

    assert_each_paid_once(till)
    duty.does("Fixed when")
    assert "Payments are on." in pause.does("Fixed when")


def test_key_that_the_gateway_refuses(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till
) -> None:
    duty, port = on_duty("The gateway refuses the shop", NUMBER=order.number), free_port()
    processes.publisher()
    wrong = processes.worker(f"--metrics-port={port}", STRIPE_SECRET_KEY="sk_withdrawn")
    refused = PaymentAttempt.objects.filter(outcome="GatewayMisconfigured")
    eventually(refused.exists, seconds=60, what="being refused")

    assert "GatewayMisconfigured (api_key_invalid, payment 1)" in duty.does("Look")
    assert counted(port, "shop_gateway_call_seconds_count['GatewayMisconfigured'") >= 1
    wrong.terminate()
    assert wrong.wait(timeout=70) == 0
    put_off_question()
    processes.worker()
    assert "goes out now" in duty.does("Fix")

    assert_each_paid_once(till)
    assert "Paid: Payment succeeded" in duty.does("Fixed when")


def test_poison_message(
    processes: ShopProcesses, exact_sqs: QueueServer, queue: PaymentsQueue, on_duty: Open
) -> None:
    port, poison = free_port(), "<script>not a message</script>"
    sqs_client().send_message(
        QueueUrl=queue.url,
        MessageBody=poison,
        MessageGroupId=secrets.token_hex(4),
        MessageDeduplicationId=secrets.token_hex(8),
    )
    worker = processes.worker(f"--metrics-port={port}")
    eventually(
        lambda: processes.has_said(worker, "Not a message of this shop"),
        seconds=60,
        what="meeting it",
    )
    eventually(
        lambda: counted(port, "shop_messages_handled_total['poison']") >= 1, what="counting it"
    )

    def is_dead() -> bool:
        exact_sqs.clock.advance(6)
        time.sleep(0.2)
        return queue.dead_letter_queue().counts().all == 1

    eventually(is_dead, what="giving it up")
    [letter] = list_dead_letters(queue).letters
    duty = on_duty("A poison message", LETTER=letter.id)

    assert poison in duty.does("Look")
    assert "discarded" in duty.does("Fix")

    assert "0 dead letters." in duty.does("Fixed when")


def test_lost_orders(
    exact_sqs: QueueServer, queue: PaymentsQueue, shelf: list[Product], on_duty: Open, till: Till
) -> None:
    order = placed_order(shelf[0])
    till.settle(order)
    names = replace(identity_of(order), reference="of-a-lost-order")
    opened = till.gateway.open(
        asked(order=names, amount_minor=1001),
        idempotency_key="lost",
    )
    message = json.loads(encode(order.outbox_messages.get())) | {"reference": names.reference}
    put_away(queue, json.dumps(message))
    [letter] = list_dead_letters(queue).letters
    duty = on_duty("Lost orders and strangers", LETTER=letter.id)

    said = duty.does("Look", exit_codes=(1, 0))
    assert opened.id in said
    assert "its database has lost" in said

    assert "discarded" in duty.does("Fix")
    assert seen_to(LostOrder.objects.get(), by="ada", how="Cancelled there", now=timezone.now())

    assert "0 differences" in duty.does("Fixed when")


def test_database_that_is_a_backup(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till, backed_up: Takes
) -> None:
    backup = backed_up()
    till.settle(order)
    till.settle(placed_order(order.lines.get().product))
    backup.restore()
    duty = on_duty("The database is a backup", TIME=backup.taken_at.isoformat())

    assert order.number in duty.does("Look", exit_codes=(1,))
    assert order.number in duty.does("Fix", block=0, exit_codes=(1,))
    assert "Payments go on." in duty.does("Fix", block=1)
    lost = LostOrder.objects.get()
    agree_to_give_up(lost, by="ada", why="Nobody sends it", now=timezone.now())
    processes.publisher()
    processes.worker()
    eventually(
        lambda: LostOrder.objects.filter(seen_to_at__isnull=False).exists(),
        seconds=60,
        what="sending the money back",
    )

    assert "Nothing was changed." in duty.does("Fixed when")
    assert [charge.order for charge in till.charges()] == [order.number, lost.number]
    processes.stop()


def test_dead_letters_redriven_twice(
    processes: ShopProcesses, queue: PaymentsQueue, shelf: list[Product], on_duty: Open, till: Till
) -> None:
    duty = on_duty("Dead letters")
    for _ in range(3):
        dead_letter_of(placed_order(shelf[0]), queue)

    assert "3 dead letters." in duty.does("Look")
    assert duty.does("Fix").count("queued again\n") == 3
    assert "0 dead letters." in duty.does("Fix")

    assert {message.generation for message in OutboxMessage.objects.all()} == {2}
    processes.publisher()
    processes.worker()
    assert_each_paid_once(till)
    assert "0 dead letters." in duty.does("Fixed when")


def test_lease_that_is_stuck(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till
) -> None:
    duty, port = on_duty("A stuck lease", NUMBER=order.number), free_port()
    processes.publisher()
    killed = processes.worker(FAULT_POINT="end after confirm sent")
    assert killed.wait(timeout=60) == -signal.SIGKILL
    assert len(till.charges()) == 1  # and nobody here knows

    assert "Confirm: no answer was recorded" in duty.does("Look")
    duty.does("Fix")
    other = processes.worker(f"--metrics-port={port}")

    assert_each_paid_once(till)
    assert processes.has_said(other, "A lease ran out, the payment was taken over")
    # A machine that stalls lets the new worker's own lease run out as well.
    assert counted(port, "shop_leases_expired_total") >= 1
    assert "Paid: Payment succeeded" in duty.does("Fixed when")


def test_mails_that_wait(processes: ShopProcesses, order: Order, on_duty: Open) -> None:
    duty = on_duty("Mails wait", NUMBER=order.number, ADDRESS="duty@shop.example")
    with mail_server() as server:
        settings = {"EMAIL_URL": server.url, "SHOP_URL": "https://shop.example"}
        duty.environment = settings
        server.stop()
        mailer = processes.mailer(**settings)
        failed = "Sending e-mail failed, will go on trying"
        eventually(lambda: processes.has_said(mailer, failed), seconds=60, what="saying so")

        assert "Waits to be sent: Order received" in duty.does("Look")
        mailer.terminate()
        assert mailer.wait(timeout=30) == 0
        server.start()
        duty.does("Fix")
        processes.mailer(**settings)

        eventually(
            lambda: not Mail.objects.filter(sent_at=None).exists(), seconds=60, what="sending"
        )
        assert "Sent: Order received" in duty.does("Fixed when")
        assert [mail["To"] for mail in server.accepted] == ["duty@shop.example", order.email]


def test_other_systems_that_are_not_told(
    processes: ShopProcesses, order: Order, on_duty: Open
) -> None:
    duty = on_duty("Other systems are not told", NUMBER=order.number)
    with webhook_receiver() as receiver:
        add_endpoint(receiver.url, AFTER_PLACING)
        transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())
        receiver.stop()
        processes.webhook_sender()
        tried = WebhookDelivery.objects.filter(tries=1, claimed_until=None)
        eventually(tried.exists, seconds=60, what="a try in vain")

        assert "Waits to be told: order.paid" in duty.does("Look")
        receiver.start()

        eventually(lambda: not open_deliveries().exists(), seconds=60, what="telling")
        assert "Told: order.paid" in duty.does("Fixed when")
        assert [each.json["data"]["number"] for each in receiver.received] == [order.number]


def test_outcome_that_nobody_knows(
    processes: ShopProcesses, sandbox: SandboxServer, order: Order, on_duty: Open, till: Till
) -> None:
    duty = on_duty("An order needs a person", NUMBER=order.number)
    # No question is to be answered before the outage begins.
    make_faults(sandbox, next=",".join(["confirm:silent", *["retrieve:503"] * 10]))
    processes.publisher()
    processes.worker()
    eventually(Payment.objects.filter(status="unknown").exists, seconds=60, what="not knowing")
    outage(sandbox, is_on=True)
    Payment.objects.update(created_at=timezone.now() - timedelta(hours=21))
    person = Order.objects.exclude(needs_person="")
    eventually(person.exists, seconds=60, what="asking for a person")

    assert "1 orders wait for a person" in duty.does("Look")
    put_off_question()
    assert "1 of 1 orders" in duty.does("Fix", block=0)
    web = processes.web(STAFF_SECOND_FACTOR="false")
    resolve(web.url, Payment.objects.get())
    outage(sandbox, is_on=False)
    duty.does("Fix", block=1)

    assert_each_paid_once(till)
    assert not person.exists()
    duty.does("Fixed when")


def test_customer_who_withdraws(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till
) -> None:
    duty = on_duty("A customer withdraws", NUMBER=order.number)
    processes.publisher()
    processes.worker()
    assert_each_paid_once(till)
    stated = Stated(number=order.number, full_name="Ada", email=order.email)
    state_withdrawal(stated, key="k", language="", now=timezone.now())
    processes.mailer(SHOP_URL="https://shop.example")
    person = Order.objects.exclude(needs_person="")
    eventually(person.exists, seconds=60, what="taking it up")

    assert "A customer has withdrawn" in duty.does("Look")
    grace = User.objects.create_superuser("grace")
    agree(Withdrawal.objects.get(), CANCEL, person=grace, why="By law", now=timezone.now())

    sent_back = Order.objects.filter(status=OrderStatus.REFUNDED)
    eventually(sent_back.exists, seconds=60, what="sending the money back")
    assert not person.exists()
    duty.does("Fixed when")


def test_parcels_that_wait(
    processes: ShopProcesses, order: Order, on_duty: Open, till: Till, tmp_path: Path
) -> None:
    file = tmp_path / "carrier.csv"
    duty = on_duty("Parcels wait", **{"NUMBER": order.number, "FILE.csv": str(file)})
    till.deliver_messages()
    Order.objects.update(status_changed_at=timezone.now() - timedelta(days=4))
    port = free_port()
    processes.publisher(f"--metrics-port={port}")
    eventually(partial(is_above, port, "shop_to_send_age_seconds", 3 * 86400), what="the alert")

    assert "Paid" in duty.does("Look")
    file.write_text(f"number,tracking\n{order.number},JJ1234\n")
    duty.does("Fix")
    duty.does("Fix")

    assert order.shipments.get().tracking_number == "JJ1234"
    eventually(partial(is_above, port, "shop_outbox_age_seconds", -1), what="a look")
    eventually(
        lambda: not is_above(port, "shop_to_send_age_seconds", 0), seconds=30, what="its end"
    )
    duty.does("Fixed when")


def is_above(port: int, name: str, least: float) -> bool:
    try:
        figures = scraped(f"http://127.0.0.1:{port}/metrics")
    except requests.RequestException:
        return False
    return figures.get(name, -1) > least


def resolve(shop: str, payment: Payment) -> None:
    """By the admin's own page, with what the gateway's site shows as evidence."""
    User.objects.create_superuser("grace", password="a long one for the desk")
    browser, login = requests.Session(), f"{shop}/admin/login/"
    fields = read_form(browser.get(login, timeout=30).text, "/admin/login/")
    fields |= {"username": "grace", "password": "a long one for the desk"}
    assert browser.post(login, fields, timeout=30).status_code == 200
    address = f"{shop}/admin/orders/order/{payment.order_id}/resolve/"
    typed = {
        "csrfmiddlewaretoken": browser.cookies["csrftoken"],
        "became": "charged",
        "gateway_payment_id": payment.gateway_payment_id,
        "why": "The gateway's site shows the charge",
    }
    answer = browser.post(address, typed, timeout=30, headers={"Referer": address})
    assert "The payment is recorded as charged." in answer.text


def test_process_that_hangs(
    processes: ShopProcesses,
    tmp_path: Path,
    queue: PaymentsQueue,
    shelf: list[Product],
    on_duty: Open,
    till: Till,
) -> None:
    file = tmp_path / "alive"
    duty = on_duty("A process hangs or is missing", PATH=str(file))
    hanging = processes.worker(f"--alive-file={file}")
    eventually(lambda: is_alive(file, 5), seconds=60, what="the first beat")
    os.kill(hanging.pid, signal.SIGSTOP)
    eventually(lambda: state_of(hanging.pid) == "T", what="its stop")
    two_minutes_ago = time.time() - 121
    os.utime(file, (two_minutes_ago, two_minutes_ago))
    placed_order(shelf[0])
    publish_outbox(queue, now=timezone.now())

    assert "has made no progress since" in duty.does("Look", exit_codes=(1,))
    hanging.kill()
    assert hanging.wait(timeout=10) == -signal.SIGKILL
    processes.worker(f"--alive-file={file}")

    # The children of the parent that hung may have paid before this one is up.
    eventually(lambda: is_alive(file, 5), seconds=60, what="the beat of the one that took over")
    eventually(all_paid, seconds=60, what="going on")
    assert_each_paid_once(till)
    duty.does("Fixed when")
