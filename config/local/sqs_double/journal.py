"""Everything the queues did, in order: a record kept outside the product."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

Entry = dict[str, Any]


class Journal:
    """In memory, or as a file of JSON lines that holds each entry before the client is answered."""

    def __init__(self, clock: Callable[[], float], path: Path | None = None) -> None:
        self.entries: list[Entry] = []
        self._clock = clock
        self._file = path.open("a", buffering=1) if path else None

    def note(self, did: str, **particulars: object) -> None:
        entry = {"at": round(self._clock(), 4), "did": did, **particulars}
        if self._file:
            self._file.write(json.dumps(entry) + "\n")
        else:
            self.entries.append(entry)

    def close(self) -> None:
        if self._file:
            self._file.close()
