"""Mailers are killed, and the mail server goes away: each mail arrives, and one at most twice."""

import signal
from collections import Counter
from collections.abc import Iterator

import pytest
from django.utils import timezone

from checkout.catalogue.models import Product
from checkout.orders.models import Mail
from tests.doubles.smtp import MailServer, mail_server
from tests.support.factories import placed_order
from tests.support.processes import ShopProcesses, eventually

SIGKILLED = -signal.SIGKILL


@pytest.fixture
def server() -> Iterator[MailServer]:
    with mail_server() as server:
        yield server


@pytest.fixture
def settings_of_mail(server: MailServer) -> dict[str, str]:
    return {"EMAIL_URL": server.url, "SHOP_URL": "https://shop.example"}


def all_sent() -> bool:
    return not Mail.objects.filter(sent_at=None).exists()


def ids(server: MailServer) -> Counter[str]:
    return Counter(str(message["Message-ID"]) for message in server.accepted)


def test_killed_between_sending_and_recording_doubles_that_one_mail(
    processes: ShopProcesses,
    shelf: list[Product],
    server: MailServer,
    settings_of_mail: dict[str, str],
) -> None:
    for _ in range(3):
        placed_order(shelf[0])
    killed = processes.mailer(FAULT_POINT="kill after mail sent", **settings_of_mail)
    assert killed.wait(timeout=60) == SIGKILLED
    assert len(server.accepted) == 1
    # Its claim runs out in minutes; here at once.
    Mail.objects.update(claimed_until=timezone.now())

    processes.mailer(**settings_of_mail)

    eventually(all_sent, seconds=60, what="sending")
    # One is there twice, under one id: SMTP has no question whether a mail was taken.
    assert sorted(ids(server).values()) == [1, 1, 2]


def test_killed_before_sending_sends_each_once(
    processes: ShopProcesses,
    shelf: list[Product],
    server: MailServer,
    settings_of_mail: dict[str, str],
) -> None:
    for _ in range(3):
        placed_order(shelf[0])
    killed = processes.mailer(FAULT_POINT="kill before mail sent", **settings_of_mail)
    assert killed.wait(timeout=60) == SIGKILLED
    Mail.objects.update(claimed_until=timezone.now())

    two = [processes.mailer(**settings_of_mail) for _ in range(2)]
    eventually(all_sent, seconds=60, what="sending")
    for _ in range(5):
        placed_order(shelf[0])
    eventually(all_sent, seconds=60, what="sending more")

    assert sorted(ids(server).values()) == [1] * 8
    for mailer in two:
        mailer.terminate()
        assert mailer.wait(timeout=20) == 0
        assert processes.has_said(mailer, "Mailer stopped.")


def test_outage_is_said_once_and_overcome(
    processes: ShopProcesses,
    shelf: list[Product],
    server: MailServer,
    settings_of_mail: dict[str, str],
) -> None:
    server.stop()
    placed_order(shelf[0])
    mailer = processes.mailer(**settings_of_mail)
    failed = "Sending e-mail failed, will go on trying"
    eventually(lambda: processes.has_said(mailer, failed), seconds=60, what="saying so")

    server.start()

    eventually(all_sent, seconds=60, what="sending")
    assert sorted(ids(server).values()) == [1]
    assert processes.said().count(failed) == 1
    assert "example.com" not in processes.said()
    assert "/orders/link/" not in processes.said()


def test_sigterm_between_two_mails_ends_with_0_and_doubles_none(
    processes: ShopProcesses,
    shelf: list[Product],
    server: MailServer,
    settings_of_mail: dict[str, str],
) -> None:
    for _ in range(50):
        placed_order(shelf[0])
    server.may_answer.clear()
    mailer = processes.mailer(**settings_of_mail)
    eventually(lambda: bool(server.accepted), seconds=60, what="the first mail")

    mailer.terminate()
    server.may_answer.set()

    assert mailer.wait(timeout=20) == 0
    assert not all_sent()
    processes.mailer(**settings_of_mail)
    eventually(all_sent, seconds=60, what="sending the others")
    assert sorted(ids(server).values()) == [1] * 50
