"""What an endpoint or a customer missed is written down, and told later, and not twice."""

import io
import json
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.mail import send
from checkout.orders.models import (
    Mail,
    Order,
    OrderEvent,
    WebhookDelivery,
    WebhookEndpoint,
    WebhookKind,
    open_deliveries,
)
from checkout.orders.states import OrderStatus
from checkout.orders.transitions import transition
from checkout.orders.webhooks import catch_up
from checkout.orders.webhooks.content import body_of
from checkout.orders.webhooks.endpoints import add_endpoint, switch_on
from checkout.orders.webhooks.send import switch_off
from payments.models import Refund
from payments.settling.disputes import record_dispute
from tests.doubles.smtp import MailServer
from tests.doubles.webhook_receiver import Receiver, webhook_receiver
from tests.orders.test_mails import send_all as send_all_mails
from tests.orders.test_mails import server as server
from tests.orders.test_webhooks import paid_order, send_all
from tests.support.factories import CUSTOMER, placed_order
from tests.support.processes import database_url
from tests.support.till import Till
from tests.support.webhook_kinds import AFTER_PLACING

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


@pytest.fixture
def receiver(transactional_db: None) -> Iterator[Receiver]:
    with webhook_receiver() as receiver:
        yield receiver


def eventful_order(product: Product, till: Till) -> Order:
    """A decline, another card, refunds in three parts."""
    order = placed_order(product, payment_method="pm_card_chargeDeclined")
    till.pay_at_the_second_card_and_refund(order, 300, 200, 501)
    return order


def cancelled_order(product: Product) -> Order:
    order = placed_order(product)
    transition(order.pk, OrderStatus.PAYMENT_FAILED, reason="Test", now=timezone.now())
    transition(order.pk, OrderStatus.CANCELLED, reason="Test", now=timezone.now())
    return order


def authorised_order(product: Product) -> Order:
    order, now = placed_order(product), timezone.now()
    to = OrderStatus.AUTHORISED
    transition(order.pk, to, reason="Test", now=now, authorised_until=now + DAY, sweep_at=now)
    return order


def parcel_that_is_taken_back(product: Product) -> None:
    order, now = paid_order(product), timezone.now()
    shipment = ship(order, None, key="parcel", tracking_number="RR1", by="clerk", now=now)
    undo_shipment(shipment, by="clerk", why="Mistake", now=now)


def disputed_order(product: Product, till: Till) -> None:
    order = placed_order(product)
    till.settle(order)
    payment = order.payments.get()
    dispute_id = till.dispute(payment)
    [theirs] = till.gateway.disputes_of(payment.gateway_payment_id)
    assert theirs.id == dispute_id
    record_dispute(payment, theirs, now=timezone.now())


def bodies_of(endpoint: WebhookEndpoint) -> list[bytes]:
    return [body_of(each) for each in endpoint.deliveries.order_by("event")]


def told_numbers(receiver: Receiver) -> list[str]:
    return [each.json["data"]["number"] for each in receiver.received]


def command(name: str, *words: str) -> str:
    out = io.StringIO()
    call_command(name, *words, stdout=out)
    return out.getvalue()


def test_what_happens_while_an_endpoint_is_off_waits_for_it(
    receiver: Receiver, shelf: list[Product]
) -> None:
    endpoint = add_endpoint(receiver.url, AFTER_PLACING)
    receiver.answer = 410
    first = paid_order(shelf[0])
    send_all()
    receiver.answer = 204
    second, third = paid_order(shelf[0]), cancelled_order(shelf[0])
    send_all(timezone.now() + HOUR)

    switch_on(endpoint.pk)
    send_all(timezone.now() + HOUR)

    told = Counter(each.json["data"]["number"] for each in receiver.received[1:])
    assert told == {first.number: 1, second.number: 1, third.number: 2}


def test_what_waited_for_days_is_tried_for_a_day_after_the_endpoint_is_on(
    receiver: Receiver, shelf: list[Product]
) -> None:
    endpoint = add_endpoint(receiver.url, AFTER_PLACING)
    paid_order(shelf[0])
    switch_off(endpoint.pk, "Test", now=timezone.now())
    WebhookDelivery.objects.update(wanted_since=timezone.now() - 3 * DAY, tries=20)
    receiver.answer = 500

    switch_on(endpoint.pk)
    send_all()

    assert open_deliveries().count() == 1


def test_endpoint_that_is_added_later_is_told_the_same_as_one_that_was_there(
    receiver: Receiver, shelf: list[Product], till: Till
) -> None:
    began, there = timezone.now(), add_endpoint(receiver.url)
    order = eventful_order(shelf[0], till)
    till.return_refund(Refund.objects.latest("id"))
    till.check(order)
    cancelled_order(shelf[0])
    authorised_order(shelf[0])
    parcel_that_is_taken_back(shelf[0])
    disputed_order(shelf[0], till)

    later = add_endpoint(f"{receiver.url}?later", since=began)

    assert bodies_of(later) == bodies_of(there) != []
    assert {json.loads(body)["type"] for body in bodies_of(later)} == set(WebhookKind.values)
    ids = set(WebhookDelivery.objects.values_list("webhook_id", flat=True))
    assert len(ids) == 2 * len(bodies_of(later))


def test_history_of_the_release_before_is_told_of_too(
    receiver: Receiver, shelf: list[Product], till: Till
) -> None:
    began, there = timezone.now(), add_endpoint(receiver.url)
    eventful_order(shelf[0], till)
    cancelled_order(shelf[0])
    OrderEvent.objects.update(told=None)

    later = add_endpoint(f"{receiver.url}?later", since=began)

    assert bodies_of(later) == bodies_of(there)


def test_catching_up_twice_or_after_a_death_tells_nothing_twice(
    receiver: Receiver, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "WINDOW", 2)
    began = timezone.now()
    orders = [paid_order(shelf[0]) for _ in range(5)]
    endpoint = add_endpoint(receiver.url, AFTER_PLACING)
    orders.append(paid_order(shelf[0]))

    def dies(done: int) -> None:
        if done >= 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        switch_on(endpoint.pk, since=began, progress=dies)
    for _ in range(2):
        switch_on(endpoint.pk, since=began)
        send_all()

    assert sorted(told_numbers(receiver)) == sorted(order.number for order in orders)
    assert len({each.id for each in receiver.received}) == len(orders)


def test_only_what_happened_since_then_and_is_wanted_is_made_up(
    receiver: Receiver, shelf: list[Product]
) -> None:
    paid_order(shelf[0], now=timezone.now() - 3 * HOUR)
    young = paid_order(shelf[0])
    cancelled_order(shelf[0])

    endpoint = add_endpoint(receiver.url, ["order.paid"], since=timezone.now() - HOUR)

    assert [d.order for d in endpoint.deliveries.all()] == [young]


def test_given_up_is_tried_again_under_the_same_id(
    receiver: Receiver, shelf: list[Product]
) -> None:
    endpoint = add_endpoint(receiver.url, AFTER_PLACING)
    paid_order(shelf[0])
    delivery = WebhookDelivery.objects.get()
    WebhookDelivery.objects.update(gave_up_at=timezone.now(), tries=30)

    switch_on(endpoint.pk, since=timezone.now() - HOUR)
    send_all()

    assert [each.id for each in receiver.received] == [delivery.message_id]


def test_events_of_an_order_go_out_in_their_order_when_the_earlier_is_made_up_later(
    receiver: Receiver, shelf: list[Product]
) -> None:
    began, endpoint = timezone.now(), add_endpoint(receiver.url, AFTER_PLACING)
    cancelled_order(shelf[0])
    WebhookDelivery.objects.filter(kind="order.payment_failed").delete()

    switch_on(endpoint.pk, since=began)
    send_all()

    kinds = [each.json["type"] for each in receiver.received]
    assert kinds == ["order.payment_failed", "order.cancelled"]


def test_catching_up_waits_for_a_transaction_that_may_not_see_the_endpoint(
    receiver: Receiver, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catch_up, "WAIT_SECONDS", 0.3)
    with psycopg.connect(database_url()) as other:
        other.execute("SELECT pg_current_xact_id()")
        with pytest.raises(catch_up.StillUnderWay):
            catch_up.add_missed(1, since=timezone.now() - HOUR)


def test_command_catches_up(receiver: Receiver, shelf: list[Product]) -> None:
    order = paid_order(shelf[0])
    adding = ["webhook_endpoints", "add", receiver.url, "--kinds=order.paid"]

    added = json.loads(command(*adding, "--since=1h", "--json"))
    WebhookDelivery.objects.all().delete()
    enabled = command("webhook_endpoints", "enable", str(added["id"]), "--since=1h")
    send_all()

    assert added["is_active"]
    assert "1 deliveries go out" in enabled
    assert told_numbers(receiver) == [order.number]
    for wrong in ("tomorrow", "2999-01-01", "0h"):
        with pytest.raises(CommandError, match="36h"):
            command("webhook_endpoints", "enable", str(added["id"]), f"--since={wrong}")


def given_up_mail(order: Order) -> Mail:
    mail = order.mails.get(kind="received")
    Mail.objects.filter(pk=mail.pk).update(gave_up_at=timezone.now(), tries=30)
    OrderEvent.objects.filter(pk=mail.event_id).update(created_at=timezone.now() - 9 * DAY)
    return mail


def test_mail_that_was_given_up_is_tried_anew_for_days(
    server: MailServer, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send, "TRIES_AT_LEAST", 1)
    order = placed_order(shelf[0])
    mail = given_up_mail(order)

    said = command("resend_mails", "--since=2d", "--reason=Server is back", "--by=ann")
    again = send.claim(now=timezone.now())
    assert again
    send.put_off(again, now=timezone.now())

    assert "1 e-mails go out again" in said
    mail.refresh_from_db()
    assert mail.gave_up_at is None
    event = order.events.get(kind=OrderEvent.Kind.STAFF)
    assert (event.actor, event.explanation) == ("ann", "Server is back")


def test_mails_of_one_order_go_to_its_corrected_address(
    server: MailServer, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    send_all_mails()
    Order.objects.update(email="right@example.com")

    said = [
        command("resend_mails", f"--order={order.number}", "--reason=Mistyped", *more)
        for more in (["--dry-run"], ["--kind=paid", "--dry-run"], [])[::2]
    ]
    send_all_mails()

    assert said == ["1 e-mails would be sent again.\n", "1 e-mails go out again.\n"]
    assert [message["To"] for message in server.accepted] == [CUSTOMER.email, "right@example.com"]
    first, second = (message["Message-ID"] for message in server.accepted)
    assert first != second
    with pytest.raises(CommandError, match="No such e-mail"):
        command("resend_mails", "--order=1", "--reason=Mistyped")
