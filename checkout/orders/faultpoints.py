"""Named places in the flow at which a test makes the process die or lose its connections.

`FAULT_POINT` says which: `kill after message sent`, `cut before order inserted`. Unset, a place
costs a comparison.
"""

import os
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from django.conf import settings

WEB = ("token verified", "order inserted", "stock reserved", "commit sent", "webhook stored")
PUBLISHER = ("batch claimed", "message sent", "publication recorded")
WORKER = (
    "message received",
    "attempt committed",
    "intent opened",
    "id stored",
    "confirm sent",
    "outcome committed",
    "message deleted",
    "refund sent",
)

MAILER = ("mail sent",)
WEBHOOK_SENDER = ("webhook sent",)
OPERATORS = ("dead letter deleted",)

_cut_already: set[str] = set()


@contextmanager
def fault_points(place: str) -> Iterator[None]:
    """Before and after what is done at a place of the flow; after only if it went well."""
    fault_point(f"before {place}")
    yield
    fault_point(f"after {place}")


def fault_point(name: str) -> None:
    if not settings.FAULT_POINT:
        return
    act, _, place = settings.FAULT_POINT.partition(" ")
    if place != name:
        return
    if act == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "cut" and name not in _cut_already:
        _cut_already.add(name)
        _cut_connections()


def _cut_connections() -> None:
    """Once: the database's, the queue's, the gateway's and the shopper's, as a failing network
    does. Reads the process's descriptors where Linux lists them."""
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # no socket, or no connected one
            connection = socket.socket(fileno=os.dup(int(descriptor)))
            with connection:
                connection.getpeername()
                connection.shutdown(socket.SHUT_RDWR)
