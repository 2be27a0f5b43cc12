"""How much of the processor a process and all that it started have taken, as Linux tells it."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from tests.tools.bench.worker_processes import children

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")

# Where proc(5) tells them, counted from the field after the program's name: utime, stime, and the
# same of children that have ended.
TIMES = slice(11, 15)


def processor_seconds(processes: Iterable[int]) -> float:
    return sum(_ticks(pid) for pid in processes) / TICKS_A_SECOND


def _ticks(pid: int) -> int:
    with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        stat = Path(f"/proc/{pid}/stat").read_text()
        own = sum(map(int, stat.rpartition(")")[2].split()[TIMES]))
        return own + sum(_ticks(child) for child in children(pid))
    return 0
