"""How fast the promise is kept, beside the limit and beside what people would use instead.

Starts a private Postgres, a queue and the shop's own processes, lets the contenders take turns, and
prints medians, 99th percentiles and ratios of one round's figures. Talks to this machine only, and
ends by itself: in about 50 minutes, with --quick in ten. It asserts no speed: exit code 0 says that
it ran.
"""

import argparse
import json
import random
import signal
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from types import FrameType
from typing import Any

from config.local.processes import CannotStart
from tests.tools.bench.figures import Figures
from tests.tools.bench.machine import machine
from tests.tools.bench.options import Options
from tests.tools.bench.pgbench import program
from tests.tools.bench.report import as_plain, as_text
from tests.tools.bench.stage import FOLDER, Stage

# In the order of the report, and the module of each.
PARTS = {
    "placing": "placing",
    "waiting": "waiting",
    "paying": "paying",
    "settling": "settling",
    "dbos": "beside_dbos.part",
    "growing": "growing",
    "publishing": "publishing",
    "memory": "remembering",
    "idling": "idling",
    "killing": "killing",
    "restarting": "restarting",
}


def main() -> int:
    asked = _arguments()
    for asked_to_end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked_to_end, _interrupt)  # so that everything is ended and removed
    random.seed(asked.seed)
    options = Options(quick=asked.quick, tiny=asked.tiny)
    report = Report(asked.json or FOLDER / "latest.json", options)
    try:
        if "placing" in asked.only:
            program()
        _run(asked.only, options, report)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has ended.", file=sys.stderr)
        report.say()
        return 130
    report.say()
    return 0


class Report:
    """It is written after each part, so that whoever interrupts a run keeps what was measured."""

    def __init__(self, file: Path, options: Options) -> None:
        self._file = file
        self._options = options
        self._began = time.monotonic()
        self._parts: list[Figures] = []
        self._shape: dict[str, Any] = {}

    def add(self, part: Figures, version: str) -> None:
        self._parts.append(part)
        minutes = (time.monotonic() - self._began) / 60
        today = datetime.now(UTC).date()
        self._shape = machine(version, today=today, minutes=minutes, run=self._options.size)
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text(json.dumps(as_plain(self._parts, self._shape), indent=2) + "\n")

    def say(self) -> None:
        self._options.say("")
        if self._parts:
            print(as_text(self._parts, self._shape))
            print(f"\nAlso in {self._file}.")


def _run(only: list[str], options: Options, report: Report) -> None:
    with Stage(FOLDER / options.size) as stage:
        for name in (name for name in PARTS if name in only):
            began = time.monotonic()
            figures = import_module(f"tests.tools.bench.{PARTS[name]}").run(stage, options)
            options.say("")
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
            report.add(figures, stage.version())


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.bench",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--quick", action="store_true", help="smaller numbers, fewer rounds")
    parser.add_argument("--tiny", action="store_true", help="for the tests: no figure means much")
    parser.add_argument(
        "--only", nargs="+", choices=list(PARTS), default=list(PARTS), metavar="PART"
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="default: .local/bench/latest.json"
    )
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
