"""Everything that can happen to a shop, in any order; after each step its promises hold."""

import os
import sys
import time
from math import ceil

import pytest

from tests.machine.rules import Machine, run
from tests.support.long import at_length

RUNS = int(os.environ.get("SOAK") or 60)
RUNS_IN_A_PART = 30
FEW_RUNS = 4

# Each change meets the same runs, so that it is judged by what it did. `make soak` draws new ones.
SEED = 1


@pytest.mark.timeout(0)  # a failure is made small, which takes as long as it takes
@pytest.mark.parametrize(
    ("part", "runs"),
    [
        (0, FEW_RUNS),
        *at_length(
            *(
                (part, min(RUNS_IN_A_PART, RUNS - part * RUNS_IN_A_PART))
                for part in range(ceil(RUNS / RUNS_IN_A_PART))
            )
        ),
    ],
)
def test_promises_hold_whatever_happens_in_whatever_order(
    part: int,
    runs: int,
    machine: type[Machine],
    pytestconfig: pytest.Config,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """`STATE_MACHINE_SEED=… make test-long ARGS=…` repeats the part that a failure names."""
    drawn = pytestconfig.getoption("randomly_seed", SEED) if "SOAK" in os.environ else SEED
    first = os.environ.get("STATE_MACHINE_SEED") or drawn
    started, used = time.monotonic(), time.process_time()
    try:
        run(machine, runs=runs, with_seed=int(first) + part)
    finally:
        with capsys.disabled():
            print(
                f"\nState machine, part {part} of {runs} runs, STATE_MACHINE_SEED={first}: "
                f"{time.monotonic() - started:.0f} s, {time.process_time() - used:.0f} s of CPU. "
                + ", ".join(f"{name} {times}" for name, times in sorted(machine.steps.items())),
                file=sys.stderr,
            )
