"""The mailer's loop. All of its behaviour is in `mailing`."""

import logging
import threading

from django.db import close_old_connections, connection

from checkout.orders.mail.send import is_mail_due, send_next
from checkout.orders.mail.server import configured_mail_server
from checkout.orders.operations.liveness import Alive
from checkout.runtime.clock import database_now
from checkout.runtime.database import DATABASE_ERRORS

logger = logging.getLogger(__name__)

# Nobody waits before a page for a mail.
IDLE_SECONDS = 1.0

# After an error: a mail server that is away is not hammered, and is found soon when it is back. A
# restart of the database takes a second or two.
PAUSE_SECONDS = 10.0
DATABASE_PAUSE_SECONDS = 1.0


def run(stopping: threading.Event, alive: Alive | None = None) -> None:
    alive = alive or Alive("mailer")
    healthy = True
    while not stopping.is_set():
        try:
            close_old_connections()
            alive.beat()
            if not is_mail_due(now=database_now()):
                stopping.wait(IDLE_SECONDS)
                continue
            # Opened before a mail is taken in hand: an outage puts no mail off.
            with configured_mail_server() as server:
                while not stopping.is_set() and send_next(server, now=database_now()):
                    alive.beat()
            if not healthy:
                logger.info("Sending e-mail works again")
                healthy = True
        except (*DATABASE_ERRORS, OSError) as error:
            if healthy:
                logger.error(
                    "Sending e-mail failed, will go on trying",
                    extra={"error": type(error).__name__},
                )
                healthy = False
            if isinstance(error, DATABASE_ERRORS):
                connection.close()
                stopping.wait(DATABASE_PAUSE_SECONDS)
            else:
                stopping.wait(PAUSE_SECONDS)
