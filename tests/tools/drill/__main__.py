"""Break everything at once, and prove from records kept outside that nothing was lost or doubled.

Starts a private Postgres, queue and gateway and the shop's own processes, lets shoppers buy while
things go wrong, waits until all is quiet, and audits. Talks to this machine only, and ends by
itself. Exit code 0: kept; 1: a promise was broken; 2: too few faults for a verdict.
"""

import argparse
import random
import signal
import sys
from types import FrameType

from tests.tools.drill.disasters.failover import ASYNCHRONOUS, SYNCHRONOUS
from tests.tools.drill.report import as_json, as_table, as_text
from tests.tools.drill.run import Drill, Options, Outcome
from tests.tools.drill.systems import system
from tests.tools.drill.without import GUARDS

DESIGNS = ("old", "notify", "fifo-only", "ours")


def main() -> int:
    options = _arguments()
    signal.signal(signal.SIGTERM, _interrupt)  # so that everything is ended and removed
    seed = options.seed if options.seed is not None else random.SystemRandom().randrange(10**6)
    designs = DESIGNS if options.design == "all" else [options.design]
    outcomes = []
    for design in designs:
        drill = Drill(
            system(design, options.without),
            Options(
                shoppers=options.shoppers,
                seed=seed,
                minutes=options.minutes,
                most_settle_seconds=options.settle_seconds,
                by_card_alone=designs != ["ours"],
                restores=options.restore and design == "ours",
                standby=options.standby,
            ),
            say=lambda words: print(words, file=sys.stderr, flush=True),
        )
        outcomes.append(drill.run())
    if options.json:
        print(as_json(outcomes))
    elif len(outcomes) > 1:
        print(f"\n{as_table(outcomes)}\n\nSeed {seed}.")
    else:
        print(as_text(outcomes[0]))
    return exit_code(outcomes[-1], compared=len(outcomes) > 1)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def exit_code(outcome: Outcome, *, compared: bool) -> int:
    if outcome.violations:
        return 1
    return 2 if outcome.too_rare and not compared else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.tools.drill",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--shoppers", type=int, default=1000)
    parser.add_argument("--seed", type=int, help="repeats a run's plan; printed by each run")
    parser.add_argument("--minutes", type=float, default=4, help="how long things go wrong")
    parser.add_argument(
        "--settle-seconds",
        type=float,
        help="how long to wait afterwards (180, or three sweeps of a long run)",
    )
    parser.add_argument("--design", choices=[*DESIGNS, "all"], default="ours")
    parser.add_argument(
        "--without",
        choices=sorted(GUARDS),
        default="",
        metavar="GUARD",
        help="take a guard out; the drill must then find violations: " + ", ".join(sorted(GUARDS)),
    )
    parser.add_argument(
        "--restore",
        action="store_true",
        help="in the end, put the database back to the middle of the run, run after_restore, go on",
    )
    parser.add_argument(
        "--standby",
        choices=[SYNCHRONOUS, ASYNCHRONOUS],
        default=SYNCHRONOUS,
        help="asynchronous: the standby lacks the last second of each server that is lost; "
        "the drill must then find violations, and names what is lost",
    )
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
