"""Named places in the flow at which a test makes the process die or lose its connections.

`FAULT_POINT` says which: `kill after message sent`, `cut before order inserted`, and for a worker's
child `end after confirm sent`, which ends its parent too.
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
    "capture sent",
    "capture recorded",
    "cancel sent",
)

# A worker's parent, from which its children are forked. When another child has ended it, theirs is
# whoever takes in orphans, which nobody means to end.
_LOADED_BY = os.getpid()

_cut_already: set[str] = set()
_is_forgotten = False


@contextmanager
def fault_points(place: str) -> Iterator[None]:
    """The places before and after the block; the one after it is passed only if it went well."""
    fault_point(f"before {place}")
    yield
    fault_point(f"after {place}")


def forget() -> None:
    """Let this process pass all places unharmed from here on."""
    global _is_forgotten
    _is_forgotten = True


def fault_point(name: str) -> None:
    if not settings.FAULT_POINT or _is_forgotten:
        return
    act, _, place = settings.FAULT_POINT.partition(" ")
    if place != name:
        return
    if act == "end" and os.getppid() == _LOADED_BY:
        os.kill(_LOADED_BY, signal.SIGKILL)  # whoever would have started another, as it were
    if act in {"kill", "end"}:
        os.kill(os.getpid(), signal.SIGKILL)
    if act == "cut" and name not in _cut_already:
        _cut_already.add(name)
        _cut_connections()


def _cut_connections() -> None:
    """Cut all connections once, as a failing network does; Linux lists their descriptors."""
    for descriptor in os.listdir("/proc/self/fd"):
        with suppress(OSError):  # no socket, or no connected one
            connection = socket.socket(fileno=os.dup(int(descriptor)))
            with connection:
                connection.getpeername()
                connection.shutdown(socket.SHUT_RDWR)
