"""Memory that a parent process shares with one child, and that outlives the child.

Written with no lock and no system call, so it costs a worker nothing. A record becomes visible with
its length, whose two bytes are written last; readers pass over what a kill in between has left.
"""

import mmap
import struct
import time

_BEAT = struct.Struct("<d")
_LENGTH = struct.Struct("<H")

# An SQS receipt handle has at most 1,024 characters, and a message of ours 150.
RECORD_BYTES = 2048


class SharedRecords:
    """Records of one child, and the time of its last beat. Threads that share them must lock."""

    def __init__(self, count: int) -> None:
        self.count = count
        self._memory = mmap.mmap(-1, _BEAT.size + count * RECORD_BYTES)
        self.beat()

    def beat(self) -> None:
        """Write the time, by the clock that all processes of one machine share."""
        _BEAT.pack_into(self._memory, 0, time.monotonic())

    def seconds_since_beat(self) -> float:
        beat: float = _BEAT.unpack_from(self._memory, 0)[0]
        return time.monotonic() - beat

    def write(self, place: int, content: bytes) -> None:
        """Write a record, or leave it empty where the content is too long for one."""
        self.clear(place)
        start = self._start_of(place)
        if len(content) <= RECORD_BYTES - _LENGTH.size:
            content_at = start + _LENGTH.size
            self._memory[content_at : content_at + len(content)] = content
            _LENGTH.pack_into(self._memory, start, len(content))

    def clear(self, place: int) -> None:
        _LENGTH.pack_into(self._memory, self._start_of(place), 0)

    def contents(self) -> dict[int, bytes]:
        """The records that are not empty: place → content."""
        found = {}
        for place in range(self.count):
            start = self._start_of(place)
            length: int = _LENGTH.unpack_from(self._memory, start)[0]
            if length:
                content_at = start + _LENGTH.size
                found[place] = self._memory[content_at : content_at + length]
        return found

    def _start_of(self, place: int) -> int:
        return _BEAT.size + place * RECORD_BYTES
