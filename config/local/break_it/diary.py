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
    KILL = "kill"  # a button ended a process, or emptied the queue
    START = "start"


@dataclass(frozen=True)
class Entry:
    at: float  # seconds since 1970
    kind: Kind
    words: str
    about: str = ""  # the part of the demo by its name; empty: none
    is_told: bool = False  # a start after a kill, of which the answer of its button tells


class Diary:
    def __init__(self) -> None:
        self._entries: deque[Entry] = deque(maxlen=KEPT)
        self._ended_here: set[str] = set()  # by a button, and not started again yet
        self._lock = threading.Lock()

    def note(self, kind: Kind, words: str, *, about: str = "") -> Entry:
        with self._lock:
            is_told = kind is Kind.START and about in self._ended_here
            if kind is Kind.KILL:
                self._ended_here.add(about)
            elif kind is Kind.START:
                self._ended_here.discard(about)
            entry = Entry(time.time(), kind, words, about, is_told)
            self._entries.append(entry)
            return entry

    def entries(self, kinds: Iterable[Kind] = Kind) -> list[Entry]:
        wanted = set(kinds)
        with self._lock:
            return [entry for entry in self._entries if entry.kind in wanted]
