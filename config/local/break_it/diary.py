"""What was done to the demo by this page or by hand, in the order of time."""

import threading
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

KEPT = 300


class Kind(Enum):
    DONE = "done"  # by a button
    KILL = "kill"  # a process ended, or a connection was cut
    START = "start"


@dataclass(frozen=True)
class Entry:
    at: float  # seconds since 1970
    kind: Kind
    words: str


class Diary:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._lock = threading.Lock()

    def note(self, kind: Kind, words: str) -> None:
        with self._lock:
            self._entries.append(Entry(time.time(), kind, words))

    def entries(self, kinds: Iterable[Kind] = Kind) -> list[Entry]:
        wanted = set(kinds)
        with self._lock:
            return [entry for entry in self._entries if entry.kind in wanted]
