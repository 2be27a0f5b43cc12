"""Two installations on one queue, and messages of orders that a restored backup has lost: each is
handled by whoever it is for, settles no other order and is removed by nobody else."""

import json
import secrets

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.identity.installation import installation_id
from checkout.orders.identity.order_identity import OrderIdentity
from checkout.orders.models import Order, OutboxMessage
from checkout.orders.operations import dead_letters
from checkout.orders.operations.dead_letters import Done, discard, list_dead_letters, redrive
from checkout.orders.outbox.messages import encode
from checkout.orders.outbox.publish import publish_outbox
from checkout.orders.queue.sqs import Incoming, Outgoing, PaymentsQueue
from config.local.sqs_double.server import QueueServer
from payments.books.lost_orders import note_lost
from payments.gateways.stripe.client import StripeGateway
from payments.models import LostOrder, Payment
from payments.worker import give_back as giving_back
from payments.worker import handle as handling
from payments.worker.handle import HANDLERS, Verdict, handle
from tests.orders.test_dead_letters import put_away
from tests.support.factories import placed_order
from tests.support.statements import statements
from tests.support.till import Till, only


@pytest.fixture
def order(shelf: list[Product]) -> Order:
    return placed_order(shelf[0])


def body_of(order: Order, /, **changed: object) -> str:
    return json.dumps(json.loads(encode(order.outbox_messages.get())) | changed)


def anothers(order: Order, **changed: object) -> str:
    """The message of another installation about its order of the same number."""
    names = {"installation": "another", "reference": secrets.token_urlsafe(16)}
    return body_of(order, **names | changed)


def lost(order: Order) -> str:
    """A message that we sent before a backup was restored; its number was given out again."""
    return body_of(order, reference="lost-reference")


def incoming(body: str, receive_count: int = 1) -> Incoming:
    return Incoming(id="m-1", body=body, receipt_handle="r-1", receive_count=receive_count)


def test_message_of_ours_is_settled_in_four_statements(
    order: Order, gateway: StripeGateway
) -> None:
    message = incoming(body_of(order))
    with statements(r"\b(orders_order|payments_payment)\b") as asked:
        assert handle(message, only(gateway))[0] is Verdict.DELETE

    assert len(asked) == 4, asked


def test_order_that_has_another_number_by_now_is_found_by_its_reference(
    order: Order, gateway: StripeGateway, till: Till
) -> None:
    message = incoming(body_of(order, order="100009-99"))
    assert handle(message, only(gateway))[0] is Verdict.DELETE

    assert Payment.objects.get().order == order
    assert len(till.charges()) == 1


@pytest.mark.parametrize("kind", [*HANDLERS, "make_coffee"])
def test_message_of_another_installation_is_put_back_for_it(
    order: Order, gateway: StripeGateway, till: Till, kind: str
) -> None:
    pauses = []
    for receive_count in range(1, 5):
        verdict, seconds = handle(
            incoming(anothers(order, kind=kind), receive_count), only(gateway)
        )
        assert verdict is Verdict.PUT_BACK
        pauses.append(seconds)

    assert pauses[0] <= 2  # its shopper waits
    assert sum(pauses) > 20  # before the fifth receive makes it a dead letter
    assert (Payment.objects.count(), till.charges()) == (0, [])
    assert not LostOrder.objects.exists()


def test_message_of_a_copy_that_runs_beside_us_is_not_ours(
    order: Order, gateway: StripeGateway
) -> None:
    copys = anothers(order, reference=order.reference)

    assert handle(incoming(copys), only(gateway))[0] is Verdict.PUT_BACK

    assert not Payment.objects.exists()


def test_message_of_a_lost_order_settles_no_other_and_is_put_before_a_person(
    order: Order, gateway: StripeGateway, till: Till, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        assert handle(incoming(lost(order)), only(gateway)) == (
            Verdict.PUT_BACK,
            handling.POISON_SECONDS,
        )

    assert (Payment.objects.count(), till.charges()) == (0, [])
    [row] = LostOrder.objects.all()
    assert (row.reference, row.number) == ("lost-reference", order.number)
    note_lost(
        OrderIdentity(number=row.number, reference=row.reference),
        gateway_payment_id="pi_1",
        now=row.found_at,
    )
    [row] = LostOrder.objects.all()
    assert row.gateway_payment_id == "pi_1"
    errors = [record for record in caplog.records if record.levelname == "ERROR"]
    assert ["not in its database" in record.getMessage() for record in errors] == [True]


def test_message_of_the_previous_release_is_about_the_order_of_its_number(
    order: Order, gateway: StripeGateway, till: Till
) -> None:
    before = {"v": 1, "order": order.number, "kind": "settle_payment", "generation": 1}

    assert handle(incoming(json.dumps(before)), only(gateway)) == (Verdict.DELETE, 0)

    order.refresh_from_db()
    assert order.status == "paid"


def test_two_installations_messages_of_one_number_neither_wait_for_each_other_nor_are_one(
    order: Order, exact_sqs: QueueServer, queue: PaymentsQueue
) -> None:
    """Both databases begin to count at the same order and the same message."""
    theirs = "reference-of-another"
    message = order.outbox_messages.get()
    queue.send(
        [
            Outgoing(
                body=anothers(order, reference=theirs),
                group=theirs,
                deduplication_id=message.deduplication_id.replace(order.reference, theirs),
            )
        ]
    )
    publish_outbox(queue, now=timezone.now())

    received = queue.receive(at_most=10, wait_seconds=0)

    told = {json.loads(message.body)["installation"] for message in received}
    assert told == {"another", installation_id()}


@pytest.mark.parametrize("made", [anothers, lost])
def test_message_that_is_not_of_an_order_here_is_not_replaced_by_one_of_its_number(
    order: Order, made: object
) -> None:
    """Its processes died often enough that one of ours would be deleted and sent anew."""
    assert callable(made)

    assert not giving_back._replace(incoming(made(order), receive_count=4))

    assert OutboxMessage.objects.count() == 1


@pytest.fixture
def letters(exact_sqs: QueueServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dead_letters, "WAIT_SECONDS", 0)


def test_letter_of_another_installation_is_shown_and_removed_by_nobody_here(
    letters: None, order: Order, queue: PaymentsQueue
) -> None:
    put_away(queue, anothers(order))
    [letter] = list_dead_letters(queue).letters
    assert (letter.is_anothers, letter.order_status) == (True, "")

    now = timezone.now()
    outcomes = [
        *redrive(queue, None, by="ada", now=now),
        *redrive(queue, [letter.id], by="ada", now=now),
        discard(queue, letter.id, by="ada", reason="Not ours", now=now),
    ]

    assert [outcome.done for outcome in outcomes] == [Done.ANOTHERS] * 3
    assert len(list_dead_letters(queue).letters) == 1
    assert not order.events.filter(kind="staff").exists()
    assert order.outbox_messages.count() == 1


def test_letter_of_a_lost_order_is_not_redriven_for_the_order_of_its_number(
    letters: None, order: Order, queue: PaymentsQueue
) -> None:
    put_away(queue, lost(order))
    [letter] = list_dead_letters(queue).letters
    assert "lost" in letter.problem

    now = timezone.now()
    [outcome] = redrive(queue, None, by="ada", now=now)
    assert outcome.done is Done.IMPOSSIBLE
    assert discard(queue, letter.id, by="ada", reason="Seen", now=now).done is Done.DISCARDED

    assert not order.events.filter(kind="staff").exists()
    assert order.outbox_messages.count() == 1
    assert list_dead_letters(queue).letters == []
