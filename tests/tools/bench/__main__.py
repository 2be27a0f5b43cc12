"""How fast the promise is kept, beside the limit and beside what people would use instead.

Starts a private Postgres, a queue and the shop's own processes, lets the contenders take turns, and
prints medians, 99th percentiles and ratios of one round's figures. Talks to this machine only, and
ends by itself: in about 50 minutes, with --quick in 8. It asserts no speed: exit code 0 says that
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
    began = time.monotonic()
    try:
        if "placing" in asked.only:
            program()
        parts, version = _run(asked.only, options)
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has ended.", file=sys.stderr)
        return 130
    minutes = (time.monotonic() - began) / 60
    shape = machine(version, today=datetime.now(UTC).date(), minutes=minutes, run=options.size)
    file = asked.json or FOLDER / "latest.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(as_plain(parts, shape), indent=2) + "\n")
    options.say("")
    print(as_text(parts, shape))
    print(f"\nAlso in {file}.")
    return 0


def _run(only: list[str], options: Options) -> tuple[list[Figures], str]:
    with Stage(FOLDER / options.size) as stage:
        parts = []
        for name in (name for name in PARTS if name in only):
            began = time.monotonic()
            figures = import_module(f"tests.tools.bench.{PARTS[name]}").run(stage, options)
            options.say("")
            print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
            parts.append(figures)
        return parts, stage.version()


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
