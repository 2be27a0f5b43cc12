"""The file that outlives the server. Each line is a JSON object, and lines are only added."""

import fcntl
import json
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from payments.sandbox.replies import Json


class LedgerError(Exception):
    """The ledger is open in another process, or is not a ledger."""


class Ledger:
    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._path = path
        self._file = path.open("a+b", buffering=0)
        self._lock = threading.Lock()
        try:
            # Two servers on one file would not know of each other's charges.
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
            raise LedgerError(f"{path} is in use by another sandbox.") from None

    def read(self) -> list[Json]:
        """All lines written so far. A last line that a crash cut off is removed from the file."""
        self._file.seek(0)
        content = self._file.read()
        whole = content[: content.rfind(b"\n") + 1]
        if len(whole) < len(content):
            self._file.truncate(len(whole))
        return [self._parsed(number, line) for number, line in enumerate(whole.splitlines(), 1)]

    def append(self, lines: Iterable[Json]) -> None:
        """Write lines, which are on the disk when this returns: the client is answered after it."""
        data = b"".join(json.dumps(line).encode() + b"\n" for line in lines)
        with self._lock:
            size = self._file.seek(0, os.SEEK_END)
            try:
                self._write(data)
                os.fsync(self._file.fileno())
            except OSError:
                # Half a line would be glued to the next one.
                self._file.truncate(size)
                raise

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _write(self, data: bytes) -> None:
        while data:
            data = data[self._file.write(data) :]

    def _parsed(self, number: int, line: bytes) -> Json:
        try:
            parsed = json.loads(line)
        except ValueError:
            parsed = None
        if not isinstance(parsed, dict):
            raise LedgerError(f"{self._path}, line {number}, is not a line of a ledger.")
        return parsed
