"""Mails about what is sent, cancelled and taken back say nothing that is not true any more."""

import pytest
from django.core import mail
from django.core.mail import EmailMultiAlternatives
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.cancelling import cancel_paid
from checkout.orders.dispatch.ship import ship, undo_shipment
from checkout.orders.models import Order, Shipment
from checkout.orders.states import Canceller
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.till import Till


@pytest.fixture
def paid(shelf: list[Product], till: Till) -> Order:
    """Its mails wait: the mail server was away."""
    order = placed_order(shelf[0])
    till.settle(order)
    order.refresh_from_db()
    return order


def send(order: Order, key: str = "a") -> Shipment:
    return ship(order, None, key=key, by="clerk", tracking_number="RR 1", now=timezone.now())


def cancel(order: Order) -> None:
    cancel_paid(order, Canceller.CUSTOMER, by="", why="", now=timezone.now())


def bodies() -> dict[str, str]:
    return {each.subject.partition(" order ")[0]: str(each.body) for each in mail.outbox}


def test_mails_that_waited_promise_nothing_of_an_order_that_was_cancelled(paid: Order) -> None:
    cancel(paid)

    send_mails()

    told = bodies()
    for subject in ("We have your", "Your receipt for"):
        assert "Since then: the order was cancelled." in told[subject]
        assert "send it to you" not in told[subject]
        assert "ready for you" not in told[subject]
    [cancelled] = [each for each in mail.outbox if "was cancelled" in each.subject]
    assert "Next: we send your money back, and write to you again." in cancelled.body


def test_mail_about_cancelling_that_waited_until_the_refund_says_so(
    paid: Order, till: Till
) -> None:
    cancel(paid)
    till.deliver_messages()

    send_mails()

    [cancelled] = [each for each in mail.outbox if "was cancelled" in each.subject]
    assert "Since then: money was sent back to you." in cancelled.body
    assert "we send your money back" not in cancelled.body


def test_receipt_that_waited_until_the_parcel_was_sent_says_so(paid: Order) -> None:
    send(paid)

    send_mails()

    told = bodies()
    for subject in ("We have your", "Your receipt for"):
        assert "Since then: we have sent you a parcel." in told[subject]
    assert "Next: the parcel arrives." in told["A parcel of your"]


def test_parcel_that_was_undone_before_its_mail_left_writes_none(paid: Order) -> None:
    undo_shipment(send(paid), by="clerk", why="Wrong shelf", now=timezone.now())

    send_mails()

    assert not any("parcel" in each.subject for each in mail.outbox)
    assert "Next: we send it to you." in bodies()["Your receipt for"]


def test_parcel_that_was_undone_after_its_mail_left_writes_another(paid: Order) -> None:
    shipment = send(paid)
    send_mails()
    undo_shipment(shipment, by="clerk", why="Wrong shelf", now=timezone.now())
    send_mails()
    send(paid, "b")

    send_mails()

    told = [each.subject for each in mail.outbox if "parcel" in each.subject]
    number = paid.number
    assert told == [
        f"A parcel of your order {number} is on its way",
        f"A parcel of your order {number} was not sent yet",
        f"A parcel of your order {number} is on its way",
    ]
    assert "Wrong shelf" not in str([each.body for each in mail.outbox])


@pytest.mark.parametrize(
    ("link", "is_shown"), [("https://carrier.example/1", True), ("javascript:alert(1)", False)]
)
def test_tracking_link_is_in_both_parts_and_only_one_of_the_web(
    paid: Order, link: str, is_shown: bool
) -> None:
    send(paid)
    Shipment.objects.update(tracking_link=link)

    send_mails()

    [told] = [each for each in mail.outbox if "parcel" in each.subject]
    assert isinstance(told, EmailMultiAlternatives)
    for text in (str(told.body), str(told.alternatives[0][0])):
        assert "RR 1" in text
        assert (link in text) is is_shown
