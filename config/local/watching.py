"""Starts again what has ended, for as long as the demo lives."""

import threading
import time
from collections.abc import Callable, Iterable

from config.local.processes import Child, stop

# A part that ended so soon after its start is started again only when this time is over.
TOO_SOON_SECONDS = 2.0


class Watch:
    """The parts of the demo by name. Any thread may add and remove some; `look` starts them, and is
    called by the one thread that stays until the end."""

    def __init__(self, died: Callable[[Child, int], None]) -> None:
        self._died = died
        self._parts: dict[str, Child] = {}
        self._lock = threading.Lock()

    def parts(self) -> list[Child]:
        with self._lock:
            return list(self._parts.values())

    def part(self, name: str) -> Child | None:
        with self._lock:
            return self._parts.get(name)

    def add(self, part: Child) -> None:
        with self._lock:
            self._parts[part.name] = part

    def end(self, parts: Iterable[Child], *, seconds: float = 5) -> None:
        """End them for good: from here on nobody starts them again."""
        ending = list(parts)
        with self._lock:
            for part in ending:
                self._parts.pop(part.name, None)
        stop(ending, seconds=seconds)

    def look(self) -> None:
        for part in self.parts():
            with self._lock:
                if self._parts.get(part.name) is not part or part.is_running:
                    continue
                if time.time() - part.started_at < TOO_SOON_SECONDS:
                    continue
                died = part.pid
                part.start()
            if died:
                self._died(part, died)
