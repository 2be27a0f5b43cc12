"""Whether a worker grows: its resident memory after many orders, divided by that after 1,000."""

import re
import time
from dataclasses import dataclass
from pathlib import Path

from tests.tools.bench import orders
from tests.tools.bench.figures import Figures
from tests.tools.bench.options import Options
from tests.tools.bench.placing import prepare
from tests.tools.bench.settling import worker
from tests.tools.bench.stage import Stage
from tests.tools.bench.worker_processes import settling_processes

MEGABYTE_KB = 1024


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("memory")
    prepare(stage, "remembering")
    first = options.pick(quick=500, full=1_000, tiny=20)
    rounds = [_grow(stage, options, first) for _ in range(options.pick(quick=1, full=3, tiny=1))]
    note = f"by orders: {', '.join(f'{grown.orders:,}' for grown in rounds)}"
    figures.add(f"after {first:,} orders", "MB", [grown.early / MEGABYTE_KB for grown in rounds])
    figures.add("after all orders", "MB", [grown.late / MEGABYTE_KB for grown in rounds], note)
    figures.add("growth", "ratio", [grown.late / grown.early for grown in rounds])
    stage.drop_database("remembering")
    return figures


@dataclass(frozen=True)
class Grown:
    """One worker took so much memory after the first orders and after all of them."""

    early: int  # kB
    late: int
    orders: int


def _grow(stage: Stage, options: Options, first: int) -> Grown:
    """It settles as many orders as the time allows, and 100,000 at most."""
    most = options.pick(quick=1_500, full=100_000, tiny=40)
    until = time.monotonic() + options.pick(quick=5, full=45, tiny=1)
    settled = 0
    with stage.queue() as queue, worker(stage) as process:
        while settled < 2 * first or (settled < most and time.monotonic() < until):
            queue.send(orders.place(first, published=True))
            orders.await_settled()
            settled += first
            resident = sum(map(resident_kb, settling_processes(process.pid)))
            if settled == first:
                early = resident
            options.say(f"a worker after {settled:,} orders: {resident // MEGABYTE_KB} MB")
    return Grown(early, resident, settled)


def resident_kb(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"^VmRSS:\s+(\d+) kB", status, re.MULTILINE)
    assert found, status
    return int(found[1])
