"""What is written to a customer: decided with the event it tells of, sent once, lost never."""

import logging
import re
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import datetime, timedelta
from email.message import EmailMessage

import pytest
from django.db import connection
from django.utils import timezone
from environ import Env
from pytest_django.fixtures import Settings

from checkout.catalogue.models import Product
from checkout.orders.links import link_path
from checkout.orders.mail import send
from checkout.orders.mail.enqueue import queue_link
from checkout.orders.mail.send import GIVE_UP_AFTER, is_mail_due, send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.models import Mail, Order, OrderEvent
from config.mail import mail_settings
from tests.doubles.smtp import MailServer, mail_server
from tests.support.factories import placed_order
from tests.support.shopper import InProcess, Shopper
from tests.support.till import Till

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
HALF_A_DAY = timedelta(hours=12)


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server() as server:
        url = Env.email_url_config(server.url)
        for name, value in mail_settings(url, timeout=5).items():
            setattr(settings, name, value)
        settings.SHOP_URL = "https://shop.example"
        settings.DEFAULT_FROM_EMAIL = "Halfmoon <orders@shop.example>"
        yield server


def send_all(now: datetime | None = None) -> None:
    """What the mailer does in one go; an outage ends it."""
    moment = now or timezone.now()
    if is_mail_due(now=moment):
        with configured_mail_server() as connected:
            while send_next(connected, now=moment):
                pass


def subjects(server: MailServer) -> list[str]:
    return [message["Subject"] for message in server.accepted]


def text_of(message: EmailMessage, kind: str = "plain") -> str:
    part = message.get_body((kind,))
    assert part
    return str(part.get_content())


def test_each_event_of_an_order_is_written_about_once(
    server: MailServer, shelf: list[Product], till: Till
) -> None:
    order = placed_order(shelf[0], payment_method="pm_card_chargeDeclined")
    number = order.number
    till.pay_at_the_second_card_and_refund(order, 300, 200)

    send_all()
    send_all()

    assert subjects(server) == [
        f"We have your order {number}",
        f"Your payment for order {number} was declined",
        f"Your receipt for order {number}",
        f"We sent money back for order {number}",
        f"We sent money back for order {number}",
    ]
    told = [text_of(message) for message in server.accepted]
    assert "€3.00" in told[3]
    assert "€2.00" in told[4]
    assert order.events.filter(kind=OrderEvent.Kind.MAILED).count() == 5


def test_mail_has_both_forms_and_the_link_that_opens_the_order(
    server: MailServer, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])

    send_all()

    [message] = server.accepted
    assert message["To"] == order.email
    assert message["From"] == "Halfmoon <orders@shop.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        link = re.search(r"https://shop\.example(/orders/link/[^\s\"<]+)", text_of(message, kind))
        assert link
        elsewhere = Shopper(InProcess())
        assert order.number in elsewhere.look(elsewhere.web.get(link[1])).words
        assert "€10.01" in text_of(message, kind)


def test_names_cannot_add_headers_or_markup(server: MailServer, shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    Order.objects.update(full_name="Ada\r\nBcc: eve@example.com<script>", city="<b>Cork</b>")

    send_all()

    [message] = server.accepted
    assert message["Bcc"] is None
    assert "<script>" not in text_of(message, "html")
    assert "<b>Cork" not in text_of(message, "html")
    assert order.email in message["To"]


def test_address_that_would_add_a_header_is_not_sent(
    server: MailServer, shelf: list[Product]
) -> None:
    placed_order(shelf[0])
    Order.objects.update(email="ada@example.com\nBcc: eve@example.com")

    send_all()

    assert server.accepted == []


def test_outage_of_an_hour_loses_none_and_doubles_none(
    server: MailServer, shelf: list[Product]
) -> None:
    start = timezone.now()
    server.stop()
    orders = []
    for minutes in range(61):
        if minutes % 10 == 0:
            orders.append(placed_order(shelf[0]))
        with suppress(ConnectionRefusedError):
            send_all(start + minutes * MINUTE)
    assert server.accepted == []

    server.start()
    for minutes in range(61, 64):
        send_all(start + minutes * MINUTE)

    assert sorted(subjects(server)) == sorted(f"We have your order {o.number}" for o in orders)


@pytest.mark.parametrize("command", ["MAIL", "RCPT", "DATA"])
@pytest.mark.parametrize("answer", ["451 try later", "550 no such mailbox"])
def test_refused_mail_is_tried_again_and_holds_up_no_other(
    server: MailServer,
    shelf: list[Product],
    caplog: pytest.LogCaptureFixture,
    command: str,
    answer: str,
) -> None:
    placed_order(shelf[0])
    server.answers = {command: answer}
    start = timezone.now()
    with caplog.at_level(logging.INFO):
        send_all(start)
    server.answers = {}
    placed_order(shelf[0])

    send_all(timezone.now())
    assert len(server.accepted) == 1
    send_all(start + HOUR)

    assert Counter(subjects(server)) == Counter(
        f"We have your order {order.number}" for order in Order.objects.all()
    )
    ours = [record for record in caplog.records if record.name == send.__name__]
    assert [record.message for record in ours] == ["An e-mail was not taken, will try again"]
    assert "example.com" not in str([vars(record) for record in ours])


def test_mail_that_nobody_takes_is_given_up_after_days(
    server: MailServer, shelf: list[Product]
) -> None:
    order = placed_order(shelf[0])
    server.answers = {"RCPT": "550 no such mailbox"}
    start = timezone.now()
    halves = 0  # of a day: the mailer is started twice a day
    while not Mail.objects.exclude(gave_up_at=None).exists():
        send_all(start + halves * HALF_A_DAY)
        halves += 1
        assert halves < 2 * 7

    gave_up_at = Mail.objects.get().gave_up_at
    assert gave_up_at
    assert gave_up_at >= start + GIVE_UP_AFTER
    assert not is_mail_due(now=start + timedelta(days=30))
    assert "not delivered" in order.events.latest("id").reason
    server.answers = {}
    queue_link(order.number, order.email, now=timezone.now())
    send_all(timezone.now() + HOUR)
    assert subjects(server) == [f"The link to your order {order.number}"]


def test_lost_answer_may_double_the_one_mail_under_one_id(
    server: MailServer, shelf: list[Product]
) -> None:
    """SMTP has no way to ask whether a mail was taken. Its receiver can tell by the Message-ID."""
    orders = [placed_order(shelf[0]) for _ in range(3)]
    server.loses_next_answer = True
    with pytest.raises(OSError):  # noqa: PT011 - the error has no words of ours
        send_all()

    for minutes in range(3):
        send_all(timezone.now() + minutes * MINUTE)

    ids = Counter(str(message["Message-ID"]) for message in server.accepted)
    assert len(ids) == len(orders)
    assert sorted(ids.values()) == [1, 1, 2]


def test_many_mailers_send_each_mail_once(server: MailServer, shelf: list[Product]) -> None:
    orders = [placed_order(shelf[0]) for _ in range(20)]
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

    assert Counter(subjects(server)) == Counter(f"We have your order {o.number}" for o in orders)


def test_claim_of_a_dead_mailer_runs_out(
    server: MailServer, shelf: list[Product], monkeypatch: pytest.MonkeyPatch
) -> None:
    placed_order(shelf[0])
    monkeypatch.setattr(send, "CLAIM", timedelta(seconds=-1))
    assert send.claim(now=timezone.now())  # and its mailer dies

    send_all()

    assert len(server.accepted) == 1


def test_sent_mails_are_told_on_the_orders_page(
    server: MailServer, shelf: list[Product], shopper: Shopper
) -> None:
    order = placed_order(shelf[0])
    assert "We sent you an e-mail" not in shopper.open_link(order).words

    send_all()

    assert "We sent you an e-mail that we have your order" in shopper.open_link(order).words


def test_link_outlives_a_change_of_the_secret_key(
    shelf: list[Product], shopper: Shopper, settings: Settings
) -> None:
    path = link_path(placed_order(shelf[0]))

    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "n" * 60

    assert shopper.web.get(path).status == 303


@pytest.mark.parametrize("change", ["cut", "other order", "other key"])
def test_link_that_was_not_sent_opens_nothing(
    shelf: list[Product], shopper: Shopper, settings: Settings, change: str
) -> None:
    order, other = placed_order(shelf[0]), placed_order(shelf[0])
    path = link_path(order)
    if change == "cut":
        path = path[:-3] + "/"
    elif change == "other order":
        path = path.replace(order.reference, other.reference)
    else:
        settings.SECRET_KEY = "n" * 60

    assert shopper.web.get(path).status == 404
    assert shopper.web.get(f"/orders/{order.reference}/").status == 404


def test_link_is_mailed_once_however_many_ask_at_once(shelf: list[Product]) -> None:
    order = placed_order(shelf[0])
    together = threading.Barrier(8)

    def ask(_: int) -> bool:
        together.wait()
        try:
            return queue_link(order.number, order.email.upper(), now=timezone.now())
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        queued = list(pool.map(ask, range(8)))

    assert sum(queued) == 1
    assert order.mails.filter(kind=Mail.Kind.LINK).count() == 1
    assert not queue_link(order.number, "eve@example.com", now=timezone.now() + HOUR)
    assert queue_link(order.number, order.email, now=timezone.now() + HOUR)
