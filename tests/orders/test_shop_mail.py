"""The shop itself is told of each new paid order, once, and of no other."""

import re
from datetime import timedelta
from smtplib import SMTPRecipientsRefused

import pytest
from django.core import mail
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.backends.base import BaseEmailBackend
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.cancelling import revive
from checkout.orders.dispatch.ship import ship
from checkout.orders.history import note
from checkout.orders.mail.enqueue import queue_mail
from checkout.orders.mail.send import send_next
from checkout.orders.mail.words import compose
from checkout.orders.models import Mail, Order
from checkout.orders.states import LATE, PAID_FOR, TRANSITIONS, OrderStatus
from checkout.orders.transitions import transition
from checkout.runtime.clock import database_now
from tests.support.factories import placed_order
from tests.support.mailer import send_mails
from tests.support.till import Till

SHOP = "desk@shop.example"
TO_PAID = [source for source in TRANSITIONS if OrderStatus.PAID in TRANSITIONS[source]]


@pytest.fixture(autouse=True)
def _shop_has_an_address(settings: Settings) -> None:
    settings.SHOP_ORDERS_EMAIL = SHOP


def to_the_shop(order: Order) -> int:
    return order.mails.filter(kind=Mail.Kind.SHOP_ORDER).count()


@pytest.mark.parametrize("source", TO_PAID)
def test_order_that_becomes_paid_is_told_and_a_refund_that_came_back_is_not(
    shelf: list[Product], source: OrderStatus
) -> None:
    order = placed_order(shelf[0])
    Order.objects.filter(pk=order.pk).update(status=source)

    transition(order.pk, OrderStatus.PAID, reason="For the test", now=database_now())

    assert to_the_shop(order) == (source not in PAID_FOR)


def test_mail_has_number_total_and_lines_and_leads_to_the_admin(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0], shelf[1])
    Order.objects.update(language="de")
    till.settle(order)

    send_mails()

    [told] = [each for each in mail.outbox if each.to == [SHOP]]
    assert told.subject == f"New paid order {order.number}"
    assert isinstance(told, EmailMultiAlternatives)
    html = str(told.alternatives[0][0])
    for text in (str(told.body), html):
        for part in (order.number, "€20.03", shelf[0].name, shelf[1].name):
            assert part in text
        assert f"/admin/orders/order/{order.pk}/change/" in text
        assert "/orders/link/" not in text
        assert "Quillfeather" not in text
        assert "12 Inkwell Lane" not in text
        assert not re.search(r"\byour?\b", text, re.IGNORECASE), text
    assert [each.to for each in mail.outbox if each != told] == [[order.email]] * 2


def test_free_order_is_told(shelf: list[Product]) -> None:
    Product.objects.filter(pk=shelf[0].pk).update(price_minor=0)

    order = placed_order(Product.objects.get(pk=shelf[0].pk))

    assert order.status == OrderStatus.PAID
    assert to_the_shop(order) == 1


def test_order_is_told_once_though_it_is_paid_revived_and_paid_again(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    transition(order.pk, OrderStatus.CANCELLED, reason="Too late", now=database_now())
    revive(order, reason="Paid after all", now=database_now())
    assert to_the_shop(order) == 1
    Order.objects.update(status=OrderStatus.CANCELLED)

    revive(order, reason="Paid after all", now=database_now())

    assert to_the_shop(order) == 1


@pytest.mark.parametrize("source", [OrderStatus.PLACED, *LATE])
def test_no_statement_is_made_for_it_where_the_shop_has_no_address(
    shelf: list[Product], settings: Settings, source: OrderStatus
) -> None:
    counts = []
    for address in (SHOP, ""):
        settings.SHOP_ORDERS_EMAIL = address
        order = placed_order(shelf[0])
        Order.objects.filter(pk=order.pk).update(status=source)
        with CaptureQueriesContext(connection) as captured:
            transition(order.pk, OrderStatus.PAID, reason="For the test", now=database_now())
        counts.append(sum("SAVEPOINT" not in each["sql"] for each in captured))
        assert to_the_shop(order) == bool(address)

    assert counts[0] - counts[1] == 3  # whether it was told, the event, the mail


class ShopIsAway(BaseEmailBackend):
    def send_messages(self, messages: list[EmailMessage]) -> int:  # type: ignore[override] # the stubs want any sequence
        for message in messages:
            if message.to == [SHOP]:
                raise SMTPRecipientsRefused({SHOP: (550, b"no such user")})
        mail.outbox.extend(messages)
        return len(messages)


def test_address_of_the_shop_that_is_wrong_holds_up_no_mail_to_the_customer(
    shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0])
    till.settle(order)
    event = note(order.pk, "The link was asked for", now=database_now())
    queue_mail(Mail.Kind.LINK, event, now=database_now())

    while send_next(ShopIsAway(), now=database_now()):
        pass

    assert [each.to for each in mail.outbox] == [[order.email]] * 3
    waiting = order.mails.get(kind=Mail.Kind.SHOP_ORDER)
    assert (waiting.sent_at, waiting.tries) == (None, 1)


def test_mail_to_the_shop_waits_for_none_of_the_customer(shelf: list[Product], till: Till) -> None:
    order = placed_order(shelf[0])
    till.settle(order)
    later = database_now() + timedelta(days=1)
    Mail.objects.exclude(kind=Mail.Kind.SHOP_ORDER).update(available_at=later)

    send_mails()

    assert [each.to for each in mail.outbox] == [[SHOP]]


def test_customer_reads_nothing_of_it(shelf: list[Product], till: Till) -> None:
    from checkout.views.order.timeline import timeline

    order = placed_order(shelf[0])
    till.settle(order)
    send_mails()

    assert "shop" not in " ".join(step.words for step in timeline(order))


def test_order_that_is_charged_when_it_is_sent_is_told_as_one_to_send(
    shelf: list[Product], till: Till, settings: Settings
) -> None:
    settings.CAPTURE = "dispatch"
    order = placed_order(shelf[0])
    till.settle(order)
    told = compose(Mail.objects.get(kind=Mail.Kind.SHOP_ORDER))
    ship(order, None, key="all", by="clerk", now=database_now())
    till.deliver_messages()

    assert told.subject == f"New order to be sent: {order.number}"
    assert "An order of €10.01 is charged when it is sent." in told.body
    assert Mail.objects.filter(kind=Mail.Kind.SHOP_ORDER).count() == 1
