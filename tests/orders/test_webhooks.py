"""What other systems are told of an order: decided with its event, signed and never lost."""

import io
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django.fixtures import Settings
from standardwebhooks import Webhook, WebhookVerificationError

from checkout.catalogue.models import Product
from checkout.orders.action_impossible import ActionImpossible
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.models import (
    Order,
    OrderEvent,
    Shipment,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    open_deliveries,
)
from checkout.orders.operations.gauges import measure_shop
from checkout.orders.operations.staff_actions import tell_again
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import record_transition, transition
from checkout.orders.webhooks import http, send
from checkout.orders.webhooks import sender as webhook_sender
from checkout.orders.webhooks.endpoints import (
    EndpointRefused,
    add_endpoint,
    remove_endpoint,
    rotate_secret,
    switch_on,
)
from checkout.orders.webhooks.enqueue import queue_webhooks
from checkout.orders.webhooks.http import AddressForbidden, is_forbidden, post
from checkout.runtime import metrics
from tests.doubles.webhook_receiver import CHUNK, Received, Receiver, webhook_receiver
from tests.support.factories import CUSTOMER, placed_order
from tests.support.till import Till
from tests.support.webhook_kinds import AFTER_PLACING

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


@pytest.fixture
def endpoint(receiver: Receiver, transactional_db: None) -> WebhookEndpoint:
    return add_endpoint(receiver.url, AFTER_PLACING)


def send_all(now: datetime | None = None) -> None:
    """What the sender does until nothing is due and nothing in hand."""
    moment, stopping = now or timezone.now(), threading.Event()
    with ThreadPoolExecutor(4) as pool:
        sender = webhook_sender.Sender(pool)
        while sender.run_once(now=moment) or sender._in_hand:
            if sender._in_hand:
                sender.wait(5, stopping)


def paid_order(*products: Product, now: datetime | None = None) -> Order:
    order = placed_order(*products)
    assert transition(order.pk, OrderStatus.PAID, reason="Test", now=now or timezone.now())
    return order


def verified(received: Received, *secrets: str) -> list[bool]:
    """By the library that receivers use: which of the secrets have signed it."""
    found = []
    for secret in secrets:
        try:
            Webhook(secret).verify(received.body, received.headers)
            found.append(True)
        except WebhookVerificationError:
            found.append(False)
    return found


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(each.json["type"], each.json["data"]["status"]) for each in receiver.received]


def test_each_event_is_told_once_in_its_order(
    receiver: Receiver, transactional_db: None, shelf: list[Product], till: Till
) -> None:
    add_endpoint(receiver.url)
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    till.pay_at_the_second_card_and_refund(order, 300, 200, 501)

    send_all()
    send_all()

    assert told(receiver) == [
        ("order.placed", "placed"),
        ("order.payment_failed", "payment_failed"),
        ("order.paid", "paid"),
        ("order.refunded", "partly_refunded"),
        ("order.refunded", "partly_refunded"),
        ("order.refunded", "refunded"),
    ]
    data = [each.json["data"] for each in receiver.received]
    assert [(d.get("amount_minor"), d["refunded_minor"]) for d in data] == [
        *((None, 0), (None, 0), (None, 0)),
        *((300, 300), (200, 500), (501, 1001)),
    ]
    assert len({each.id for each in receiver.received}) == 6


def test_says_what_happened_signed_and_nothing_personal(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    caplog: pytest.LogCaptureFixture,
) -> None:
    order = paid_order(shelf[0])

    with caplog.at_level(logging.INFO):
        send_all()

    [received] = receiver.received
    event = order.events.get(to_status="paid")
    assert received.json == {
        "type": "order.paid",
        "timestamp": event.created_at.isoformat(),
        "data": {
            "number": order.number,
            "reference": order.reference,
            "status": "paid",
            "currency": "EUR",
            "total_minor": 1001,
            "refunded_minor": 0,
            "goods_minor": 1001,
            "discount_minor": 0,
            "delivery_minor": 0,
            "tax_minor": 0,
            "prices_include_tax": True,
        },
    }
    assert verified(received, endpoint.secret, "whsec_" + "QUJD" * 8) == [True, False]
    for private in (CUSTOMER.email, CUSTOMER.full_name, CUSTOMER.address, CUSTOMER.postcode):
        assert private not in received.body.decode()
    assert endpoint.secret not in caplog.text
    delivery = WebhookDelivery.objects.get()
    assert (delivery.last_status, delivery.tries) == (204, 1)


def test_parcel_is_told_with_what_is_in_it_and_whom_it_goes_to_is_not(
    receiver: Receiver, transactional_db: None, shelf: list[Product]
) -> None:
    add_endpoint(receiver.url, ["order.shipped", "order.shipment_undone"])
    order, now = paid_order(shelf[0], shelf[1]), timezone.now()
    first, second = order.lines.all()
    one = ship(order, {second.pk: 1}, key="a", tracking_number="RR1", by="clerk", now=now)
    rest = ship(order, None, key="b", by="clerk", now=now)
    ship(order, None, key="b", by="clerk", now=now)  # pressed twice
    undo_shipment(one, by="clerk", why="Left behind", now=now)

    send_all()

    def parcel(shipment: Shipment, sku: str) -> dict[str, object]:
        number, lines = shipment.tracking_number, [{"sku": sku, "quantity": 1}]
        return {"id": shipment.pk, "tracking_number": number, "lines": lines}

    data = [each.json["data"] for each in receiver.received]
    assert [
        (each.json["type"], of["dispatch_status"], of["shipment"])
        for each, of in zip(receiver.received, data, strict=True)
    ] == [
        ("order.shipped", "partly_sent", parcel(one, second.sku)),
        ("order.shipped", "sent", parcel(rest, first.sku)),
        ("order.shipment_undone", "partly_sent", parcel(one, second.sku)),
    ]
    assert {of["status"] for of in data} == {"paid"}
    told = b"".join(each.body for each in receiver.received).decode()
    for private in (CUSTOMER.email, CUSTOMER.full_name, CUSTOMER.address, CUSTOMER.postcode):
        assert private not in told


def test_parcel_that_is_rolled_back_tells_nobody(
    endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    order = paid_order(shelf[0])
    with transaction.atomic():
        ship(order, None, key="a", by="clerk", now=timezone.now())
        transaction.set_rollback(True)

    assert not WebhookDelivery.objects.filter(kind="order.shipped").exists()


def test_endpoint_is_told_of_the_kinds_it_wants_and_of_none_when_it_is_off(
    receiver: Receiver, shelf: list[Product]
) -> None:
    add_endpoint(receiver.url, ["order.cancelled"])
    off = add_endpoint(f"{receiver.url}?off")
    send.switch_off(off.pk, "Test", now=timezone.now())
    paid_order(shelf[0])
    cancelled = placed_order(shelf[0])
    transition(cancelled.pk, OrderStatus.PAYMENT_FAILED, reason="Test", now=timezone.now())
    transition(cancelled.pk, OrderStatus.CANCELLED, reason="Test", now=timezone.now())

    send_all()

    assert told(receiver) == [("order.cancelled", "cancelled")]


def test_shop_without_endpoints_runs_one_statement_more(
    shelf: list[Product],
) -> None:
    with CaptureQueriesContext(connection) as placing:
        order = placed_order(shelf[0])
    with CaptureQueriesContext(connection) as paying:
        transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    # Row by row. `tests/checkout/test_placing_statement.py` has the statement, which is no longer.
    assert len([q["sql"] for q in placing if "webhook" in q["sql"]]) == 1
    assert len([q["sql"] for q in paying if "webhook" in q["sql"]]) == 1


def test_event_that_is_recorded_again_makes_no_second_delivery(
    endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    order = paid_order(shelf[0])
    event = order.events.get(to_status="paid")
    delivery = WebhookDelivery.objects.get()

    queue_webhooks(WebhookKind.PAID, event, now=event.created_at)

    assert WebhookDelivery.objects.get() == delivery


def test_transition_that_is_rolled_back_tells_nobody(
    endpoint: WebhookEndpoint, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    order = placed_order(shelf[0])

    def fails_afterwards(*args: object, **kwargs: object) -> None:
        record_transition(*args, **kwargs)  # type: ignore[arg-type] # passed on as it came
        raise RuntimeError("the database went away")

    monkeypatch.setattr("checkout.orders.transitions.record_transition", fails_afterwards)
    with pytest.raises(RuntimeError):
        transition(order.pk, OrderStatus.PAID, reason="Test", now=timezone.now())

    assert not WebhookDelivery.objects.exists()


def test_later_event_of_an_order_waits_until_the_earlier_is_taken(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    for to in (OrderStatus.PAYMENT_FAILED, OrderStatus.PAID):
        transition(order.pk, to, reason="Test", now=timezone.now())
    receiver.answer = 500
    send_all()
    receiver.answer = 200

    send_all(timezone.now() + MINUTE)

    kinds = [kind for kind, _ in told(receiver)]
    assert kinds == ["order.payment_failed", "order.payment_failed", "order.paid"]


def test_outage_of_an_hour_loses_none_and_doubles_none(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    # In the past, for the signatures of what arrives are judged by the clock of now.
    start = timezone.now() - 2 * HOUR
    receiver.stop()
    orders = []
    for minutes in range(0, 61, 5):
        if minutes % 10 == 0:
            orders.append(paid_order(shelf[0], now=start + minutes * MINUTE))
        send_all(start + minutes * MINUTE)
    assert receiver.received == []

    receiver.start()
    send_all()
    send_all()

    numbers = [each.json["data"]["number"] for each in receiver.received]
    assert Counter(numbers) == Counter(order.number for order in orders)
    assert all(verified(each, endpoint.secret) == [True] for each in receiver.received)


@pytest.mark.parametrize("status", [302, 500])
def test_refused_webhook_is_tried_again_with_ever_longer_pauses(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    caplog: pytest.LogCaptureFixture,
    status: int,
) -> None:
    receiver.answer = status
    receiver.answer_headers = {"Location": receiver.url} if status == 302 else {}
    paid_order(shelf[0])
    now, pauses = timezone.now(), []
    for _ in range(4):
        send_all(now)
        due = WebhookDelivery.objects.get().available_at
        pauses.append((due - now).total_seconds())
        now = due
    receiver.answer = 200

    send_all(now)

    assert len(receiver.received) == 5
    assert len({(each.id, each.body) for each in receiver.received}) == 1
    for doublings, pause in enumerate(pauses):
        assert 7.5 * 2**doublings <= pause <= 10 * 2**doublings
    ours = [record for record in caplog.records if record.name == send.__name__]
    assert {record.message for record in ours} == {"A webhook was not taken, will try again"}
    assert receiver.url not in str([vars(record) for record in ours])
    assert WebhookDelivery.objects.get().last_status == 200


def test_webhook_that_nobody_takes_is_given_up_after_a_day_and_noted(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    receiver.stop()
    start = timezone.now()
    order = paid_order(shelf[0], now=start)
    now = start
    while delivery := open_deliveries().first():
        now = max(now, delivery.available_at)
        send_all(now)
        assert now - start < 2 * DAY

    assert now - start >= DAY
    delivery = WebhookDelivery.objects.get()
    assert delivery.gave_up_at == now
    assert delivery.last_error == "ConnectionError"
    assert 20 < delivery.tries < 50
    assert order.events.latest("id").reason == "Webhook not delivered: order.paid to 127.0.0.1"


def test_sender_that_was_away_for_days_gives_up_nothing_untried(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    paid_order(shelf[0], now=timezone.now() - 3 * DAY)
    receiver.answer = 500

    send_all()

    assert open_deliveries().count() == 1


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_slow_system_is_cut_off(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(http, "DEADLINE_SECONDS", 1.0)
    setattr(receiver, how, True)
    paid_order(shelf[0])

    send_all()

    delivery = WebhookDelivery.objects.get()
    assert (delivery.last_error, delivery.sent_at) == ("DeadlinePassed", None)


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_slow_system_delays_no_other(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    monkeypatch: pytest.MonkeyPatch,
    how: str,
) -> None:
    monkeypatch.setattr(http, "DEADLINE_SECONDS", 60.0)
    with webhook_receiver() as slow:
        setattr(slow, how, True)
        add_endpoint(slow.url, AFTER_PLACING)
        for _ in range(6):
            paid_order(shelf[0])
        with ThreadPoolExecutor(8) as pool:
            sender = webhook_sender.Sender(pool)
            began, stopping = time.monotonic(), threading.Event()
            while len(receiver.received) < 6:
                sender.run_once(now=timezone.now())
                sender.wait(0.02, stopping)
                assert time.monotonic() - began < 30
            assert len(slow.received) <= webhook_sender.EACH
            slow.stop()
            sender.finish(now=timezone.now())

    assert not endpoint.deliveries.filter(sent_at=None).exists()


def test_gone_switches_the_endpoint_off_until_somebody_switches_it_on(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    caplog: pytest.LogCaptureFixture,
) -> None:
    receiver.answer = 410
    waiting = paid_order(shelf[0])
    send_all()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.off_reason) == (False, "It answered 410 Gone")
    assert "An endpoint of webhooks was switched off" in caplog.messages
    receiver.answer = 200
    meanwhile = paid_order(shelf[0])
    send_all(timezone.now() + HOUR)
    assert len(receiver.received) == 1

    switch_on(endpoint.pk)
    send_all(timezone.now() + HOUR)

    numbers = Counter(each.json["data"]["number"] for each in receiver.received)
    assert numbers == {waiting.number: 2, meanwhile.number: 1}


def test_both_secrets_sign_for_a_week_after_a_change(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    old = endpoint.secret
    new = rotate_secret(endpoint.pk, now=timezone.now()).secret
    paid_order(shelf[0])
    send_all()
    WebhookEndpoint.objects.update(rotated_at=timezone.now() - timedelta(days=8))
    paid_order(shelf[0])
    send_all()

    assert [verified(each, old, new) for each in receiver.received] == [[True, True], [False, True]]


def test_many_senders_send_each_once(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    orders = [paid_order(shelf[0]) for _ in range(20)]
    together = threading.Barrier(4)

    def work(_: int) -> None:
        together.wait()
        try:
            send_all()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    send_all()

    numbers = Counter(each.json["data"]["number"] for each in receiver.received)
    assert numbers == Counter(order.number for order in orders)


def test_claim_of_a_dead_sender_runs_out(
    receiver: Receiver,
    endpoint: WebhookEndpoint,
    shelf: list[Product],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    paid_order(shelf[0])
    assert send.claim(now=timezone.now())  # and its sender dies
    send_all()
    assert receiver.received == []
    WebhookDelivery.objects.update(claimed_until=timezone.now() - MINUTE)

    send_all()

    assert len(receiver.received) == 1


def test_failure_of_a_claim_that_ran_out_frees_nothing_that_another_has_in_hand(
    endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    paid_order(shelf[0])
    late = send.claim(now=timezone.now())
    assert late
    WebhookDelivery.objects.update(claimed_until=None)
    assert send.claim(now=timezone.now())

    send.record(late, http.Answer(error="Timeout"), now=timezone.now())

    assert WebhookDelivery.objects.get().claimed_until is not None


def test_sent_again_it_is_the_same_and_says_who_wanted_it(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    order = paid_order(shelf[0])
    send_all()

    said = [
        tell_again(WebhookDelivery.objects.get(), by="ann", why="Lost there", now=timezone.now())
        for _ in range(2)
    ]
    send_all()

    assert ["on its way already" in words for words in said] == [False, True]
    assert len({(each.id, each.body) for each in receiver.received}) == 1
    assert len(receiver.received) == 2
    event = order.events.get(kind=OrderEvent.Kind.STAFF)
    assert event.reason.startswith("Webhook sent again: order.paid to 127.0.0.1, delivered before")
    assert (event.actor, event.explanation) == ("ann", "Lost there")


def test_what_was_given_up_is_tried_for_another_day(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    paid_order(shelf[0], now=timezone.now() - 3 * DAY)
    WebhookDelivery.objects.update(gave_up_at=timezone.now(), tries=30)
    receiver.answer = 500

    tell_again(WebhookDelivery.objects.get(), by="ann", why="Repaired", now=timezone.now())
    send_all()

    assert open_deliveries().count() == 1


def test_nothing_is_sent_again_to_an_endpoint_that_is_off(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    order = paid_order(shelf[0])

    send.switch_off(endpoint.pk, "Test", now=timezone.now())
    with pytest.raises(ActionImpossible, match="switched off"):
        tell_again(WebhookDelivery.objects.get(), by="ann", why="Lost", now=timezone.now())
    remove_endpoint(endpoint.pk, now=timezone.now())
    with pytest.raises(ActionImpossible, match="was removed"):
        tell_again(WebhookDelivery.objects.get(), by="ann", why="Lost", now=timezone.now())

    assert not order.events.filter(kind=OrderEvent.Kind.STAFF).exists()


def test_waiting_is_told_to_prometheus(endpoint: WebhookEndpoint, shelf: list[Product]) -> None:
    paid_order(shelf[0], now=timezone.now() - HOUR)
    measure_shop(now=timezone.now())
    assert 3600 <= metrics.WEBHOOKS_AGE._value.get() < 3700

    send.switch_off(endpoint.pk, "Test", now=timezone.now())
    measure_shop(now=timezone.now())

    assert metrics.WEBHOOKS_AGE._value.get() == 0


def test_answer_without_end_is_read_in_part(receiver: Receiver) -> None:
    receiver.answer, receiver.answer_bytes = 200, 1000 * CHUNK

    answer = post(receiver.url, body=b"{}", headers={})

    assert answer.is_taken
    assert receiver.written < receiver.answer_bytes / 2


def test_proxy_and_passwords_of_the_environment_are_not_used(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login shop password secret\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))

    assert post(receiver.url, body=b"{}", headers={}).is_taken
    assert "authorization" not in receiver.received[0].headers


@pytest.mark.parametrize(
    "address",
    ["169.254.169.254", "::ffff:169.254.169.254", "fe80::1%eth0", "fd00:ec2::254"],
)
def test_link_local_address_is_forbidden(address: str) -> None:
    assert is_forbidden(address)


def test_address_is_looked_at_again_when_it_is_reached(
    receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http, "is_forbidden", lambda address: address == "127.0.0.1")

    answer = post(receiver.url, body=b"{}", headers={})

    assert answer.error == AddressForbidden.__name__
    assert receiver.received == []


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://erp.example/hooks", "https://"),
        ("ftp://127.0.0.1/", "https://"),
        ("https://", "no address"),
        ("https://erp.example:no/", "no address"),
        ("erp.example", "no address"),
        ("https://user:secret@erp.example/", "no user"),
        ("https://169.254.169.254/latest/", "link-local"),
        ("https://2852039166/", "link-local"),
        ("https://[::ffff:169.254.169.254]/", "link-local"),
    ],
)
def test_address_that_is_none_of_a_system_is_refused(
    db: None, settings: Settings, url: str, why: str
) -> None:
    settings.DEBUG = False

    with pytest.raises(EndpointRefused, match=why):
        add_endpoint(url)

    assert not WebhookEndpoint.objects.exists()


def command(*words: str) -> str:
    out = io.StringIO()
    call_command("webhook_endpoints", *words, stdout=out)
    return out.getvalue()


def test_secret_is_shown_when_it_is_made_and_never_again(db: None) -> None:
    added = json.loads(command("add", "https://erp.example/a", "--kinds=order.paid", "--json"))
    rotated = json.loads(command("rotate", str(added["id"]), "--json"))
    listed = command("list") + command("list", "--json")

    assert WebhookEndpoint.objects.get().secret == rotated["secret"] != added["secret"]
    assert "whsec_" not in listed
    assert "https://erp.example/a" in listed
    assert added["kinds"] == ["order.paid"]


def test_kinds_of_an_endpoint_are_chosen_anew(shelf: list[Product]) -> None:
    endpoint = add_endpoint("https://erp.example/a", ["order.paid"])
    placed_order(shelf[0])

    said = command("choose", str(endpoint.pk), "--kinds=order.shipped,order.placed")
    placed_order(shelf[0])

    assert said == f"Endpoint {endpoint.pk} is told of order.placed, order.shipped.\n"
    assert [each.kind for each in endpoint.deliveries.all()] == ["order.placed"]
    assert json.loads(command("choose", str(endpoint.pk), "--json"))["kinds"] == [*WebhookKind]
    with pytest.raises(CommandError, match="There is no wrapped"):
        command("choose", str(endpoint.pk), "--kinds=wrapped")
    with pytest.raises(CommandError, match="no such endpoint"):
        command("choose", "999")


def test_removed_endpoint_keeps_its_log_and_no_secret(
    endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    paid_order(shelf[0])

    with pytest.raises(CommandError, match="Nobody to ask"):
        command("remove", str(endpoint.pk))
    assert "1 deliveries were given up" in command("remove", str(endpoint.pk), "--yes")

    endpoint.refresh_from_db()
    assert (endpoint.secret, endpoint.previous_secret) == ("", "")
    assert WebhookDelivery.objects.get().gave_up_at
    assert command("list") == "There are no endpoints.\n"
    for act in ("rotate", "enable"):
        with pytest.raises(CommandError, match="no such endpoint"):
            command(act, str(endpoint.pk))
    with pytest.raises(CommandError, match=r"There is no order\.wrapped"):
        command("add", "https://erp.example/", "--kinds=order.wrapped")


def test_sender_ends_and_leaves_nothing_in_hand(
    receiver: Receiver, endpoint: WebhookEndpoint, shelf: list[Product]
) -> None:
    paid_order(shelf[0])
    stopping = threading.Event()

    def stop_when_told() -> None:
        while not receiver.received:
            time.sleep(0.01)
        stopping.set()

    threading.Thread(target=stop_when_told, daemon=True).start()
    webhook_sender.run(stopping)

    assert not open_deliveries().exists()
