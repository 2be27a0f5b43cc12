"""How much memory a process and all that it started take, as Linux tells it."""

import re
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tests.tools.bench.worker_processes import children

MEGABYTE_KB = 1024


@dataclass(frozen=True)
class Memory:
    """In kB. In RSS a page counts once for each process that has it. In PSS it counts once in all,
    and each process has its share of it; those who have it too and are not counted take theirs, so
    that a program beside the shop that runs the same Python makes the shop's PSS a little less."""

    pss: int
    rss: int

    def __add__(self, other: "Memory") -> "Memory":
        return Memory(self.pss + other.pss, self.rss + other.rss)

    @property
    def pss_mb(self) -> float:
        return self.pss / MEGABYTE_KB

    @property
    def rss_mb(self) -> float:
        return self.rss / MEGABYTE_KB


def memory_of(processes: Iterable[int]) -> Memory:
    return sum((_memory_of(pid) for pid in processes), Memory(0, 0))


def _memory_of(pid: int) -> Memory:
    with suppress(FileNotFoundError, ProcessLookupError):  # it ended meanwhile
        rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
        told = dict(re.findall(r"^(\w+): +(\d+) kB$", rollup, re.MULTILINE))
        return Memory(int(told["Pss"]), int(told["Rss"])) + memory_of(children(pid))
    return Memory(0, 0)
