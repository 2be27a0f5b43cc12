"""Workers and publishers that can be stopped wherever they talk to the outside, and left lying.

Each is a thread, and a single one of all threads runs at any time: a test decides which goes on,
and how far, so the same decisions lead to the same interleaving.
"""

import threading
from collections.abc import Callable
from queue import SimpleQueue

from django.db import connection

# A thread that has not reached its next stop by then never will.
STUCK_SECONDS = 60

_running = threading.local()


class Died(BaseException):
    """The process is gone: what it had committed stays, and nothing else of it happens."""


def stop_here(place: str) -> None:
    """Called at a place where the process may stop, die, or be told of an error."""
    hand: Hand | None = getattr(_running, "hand", None)
    if hand:
        hand.stop_at(place)


class Hand:
    def __init__(self) -> None:
        self.place = ""  # where it stands; empty: it has nothing to do
        self._stops = False
        self._acts: SimpleQueue[Callable[[], object] | None] = SimpleQueue()
        self._orders: SimpleQueue[BaseException | None] = SimpleQueue()
        self._told: SimpleQueue[BaseException | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="hand", daemon=True)
        self._thread.start()

    def start(self, act: Callable[[], object], *, stops: bool) -> None:
        self._stops = stops
        self._acts.put(act)
        self._wait()

    def go_on(self, error: BaseException | None = None) -> None:
        """To its next stop. With an error: that is what it finds where it stands."""
        self._orders.put(error)
        self._wait()

    def finish(self) -> None:
        while self.place:
            self._stops = False
            self.go_on()

    def die(self) -> None:
        if self.place:
            self.go_on(Died())

    def close(self) -> None:
        self.die()
        self._acts.put(None)
        self._thread.join(timeout=STUCK_SECONDS)

    def stop_at(self, place: str) -> None:
        """In the thread: hand over, and wait for what comes next."""
        if not self._stops:
            return
        self.place = place
        self._told.put(None)
        error = self._orders.get()
        self.place = ""
        if error:
            raise error

    def _wait(self) -> None:
        failure = self._told.get(timeout=STUCK_SECONDS)
        if failure:
            raise failure

    def _run(self) -> None:
        _running.hand = self
        while act := self._acts.get():
            failure: BaseException | None = None
            try:
                act()
            except Died:
                pass
            except BaseException as error:
                failure = error
            self._told.put(failure)
        connection.close()
