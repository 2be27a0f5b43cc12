"""What the mailer does in one go, into Django's `mail.outbox`."""

from datetime import datetime

from checkout.orders.mail.send import send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.withdrawals.take_up import take_up_statements
from checkout.runtime.clock import database_now


def send_mails(now: datetime | None = None) -> None:
    moment = now or database_now()
    take_up_statements(now=moment)
    with configured_mail_server() as server:
        while send_next(server, now=moment):
            pass
