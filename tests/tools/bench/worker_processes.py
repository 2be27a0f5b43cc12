"""What a running worker consists of, as the kernel of Linux tells it."""

import os
from contextlib import suppress
from pathlib import Path

# Of a process that only gives back: one that acts and one that listens to its parent. Whoever
# settles has another from its first moment on, which hides its messages for longer.
THREADS_OF_A_GIVER = 2


def settling_processes(worker: int) -> list[int]:
    """Neither the one that watches over them, nor whoever gives back what a dead one had in
    flight."""
    return [pid for pid in children(worker) if threads(pid) > THREADS_OF_A_GIVER]


def threads(pid: int) -> int:
    try:
        return len(os.listdir(f"/proc/{pid}/task"))
    except FileNotFoundError:  # it ended meanwhile
        return 0


def children(pid: int) -> list[int]:
    """By the thread that started each."""
    found: list[int] = []
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(FileNotFoundError):  # it ended meanwhile
            found += map(int, (thread / "children").read_text().split())
    return sorted(found)
