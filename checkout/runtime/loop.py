"""The loop of the long-running commands: a signal ends it, an outage does not."""

import logging
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from django.db import close_old_connections, connection

from checkout.runtime.database import DATABASE_ERRORS

# After an error: long enough not to flood the log, short against what a shopper waits for. A
# restart of the database takes a second or two.
PAUSE_SECONDS = 1.0


def run_loop(
    run_once: Callable[[], int],
    stopping: threading.Event,
    *,
    doing: str,
    log: logging.Logger,
    beat: Callable[[], None],
    idle_seconds: float = 0.0,
    full: int = 1,
    outages: tuple[type[Exception], ...] = (),
    outage_pause_seconds: float | None = None,
) -> None:
    """Call `run_once`, which answers how much it did, until `stopping` is set. Where that is less
    than `full`, the loop rests for `idle_seconds`. Errors of the database and those of `outages` do
    not end the loop, and only the first of an outage is logged: it is over when something was done
    again. A turn that did nothing proves that the database is back, and nothing more.
    """
    retried: tuple[type[Exception], ...] = (*DATABASE_ERRORS, *outages)
    failure: Exception | None = None
    while not stopping.is_set():
        try:
            close_old_connections()
            beat()
            done = run_once()
        except retried as error:
            if not failure:
                extra = {"error": type(error).__name__}
                log.error("%s failed, will go on trying", doing, extra=extra)
            failure = error
            pause_seconds = outage_pause_seconds
            if isinstance(error, DATABASE_ERRORS):
                connection.close()
                pause_seconds = None
            stopping.wait(PAUSE_SECONDS if pause_seconds is None else pause_seconds)
            continue
        if failure and (done or isinstance(failure, DATABASE_ERRORS)):
            log.info("%s works again", doing)
            failure = None
        if done < full:
            stopping.wait(idle_seconds)


class Every:
    """True once in so many seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._next = 0.0

    def __call__(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._seconds
        return True


@contextmanager
def stop_signals() -> Iterator[threading.Event]:
    """An event that SIGTERM or SIGINT sets. A second signal ends the process at once."""
    stopping = threading.Event()

    def stop(signum: int, frame: FrameType | None) -> None:
        stopping.set()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, signal.SIG_DFL)

    before = {name: signal.signal(name, stop) for name in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield stopping
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)
