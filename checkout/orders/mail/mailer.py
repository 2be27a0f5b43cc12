"""The mailer's loop: how it sends is in `send`."""

import logging
import threading

from django.conf import settings
from django.core.management.base import CommandError

from checkout.orders.mail.send import is_mail_due, send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.operations.liveness import Alive
from checkout.orders.withdrawals.take_up import take_up_statements
from checkout.runtime.clock import database_now
from checkout.runtime.loop import run_loop

logger = logging.getLogger(__name__)

# No customer waits before a page for a mail.
IDLE_SECONDS = 1.0

# A mail server that is away is not hammered, and is found soon when it is back.
SERVER_PAUSE_SECONDS = 10.0


def must_know_the_shops_address() -> None:
    """Raises CommandError."""
    if not settings.SHOP_URL:
        raise CommandError(
            "SHOP_URL is not set, and every e-mail holds a link to its order. Set it to the "
            "shop's address from outside, such as https://shop.example."
        )


def run(stopping: threading.Event, alive: Alive | None = None) -> None:
    beat = (alive or Alive("mailer")).beat

    def run_once() -> int:
        """Send all mails that are due; how many those were."""
        # Before the server is asked for: an outage of it keeps no withdrawal from its order.
        take_up_statements(now=database_now())
        if not is_mail_due(now=database_now()):
            return 0
        sent = 0
        # Opened before a mail is taken in hand: an outage puts no mail off.
        with configured_mail_server() as server:
            while not stopping.is_set() and send_next(server, now=database_now()):
                sent += 1
                beat()
        return sent

    run_loop(
        run_once,
        stopping,
        doing="Sending e-mail",
        log=logger,
        beat=beat,
        idle_seconds=IDLE_SECONDS,
        outages=(OSError,),
        outage_pause_seconds=SERVER_PAUSE_SECONDS,
    )
