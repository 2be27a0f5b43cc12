"""A supervisor of two children that do nothing but hold a record, for its tests.

    python -m tests.runtime.supervised FOLDER HOW FINISH_SECONDS STALE_SECONDS

Each child writes a file with its process id into the folder and holds the record `work of PID`.
Giving back writes `given-back-PID`. HOW is `well`, `deaf` (children end only when killed), `silent`
(the children of seat 0 give no sign of life, and it is long ago that they did) or `weak` (children
die as they begin).
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from checkout.runtime.shared_memory import _BEAT
from checkout.runtime.supervisor import Seat, Supervisor

LONG_SECONDS = 1000.0


def main() -> None:
    folder, how = Path(sys.argv[1]), sys.argv[2]

    def work(seat: Seat, stopping: threading.Event) -> None:
        seat.records.write(0, f"work of {os.getpid()}".encode())
        (folder / f"child-{seat.number}-{os.getpid()}").touch()
        if how == "weak":
            os.kill(os.getpid(), signal.SIGKILL)
        while how == "deaf" or not stopping.wait(0.02):
            if how == "silent" and seat.number == 0:
                _BEAT.pack_into(seat.records._memory, 0, time.monotonic() - LONG_SECONDS)
            else:
                seat.records.beat()
            time.sleep(0.02)
        seat.records.clear(0)

    def give_back(name: str, records: Mapping[int, bytes], stopping: threading.Event) -> None:
        told = b", ".join(records.values()).decode()
        (folder / f"given-back-{name.rpartition(':')[2]}").write_text(told)

    stopping = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda signum, frame: stopping.set())
    supervisor = Supervisor(
        work, seats=2, records=1, give_back=give_back, stale_after_seconds=float(sys.argv[4])
    )
    with supervisor:
        supervisor.run(stopping, finish_seconds=float(sys.argv[3]))


if __name__ == "__main__":
    main()
