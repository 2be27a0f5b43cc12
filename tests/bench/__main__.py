import argparse
import sys
from importlib import import_module

from tests.bench.options import Options
from tests.bench.stage import Stage


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", default=["placing"])
    o = parser.parse_args()
    options = Options(quick=o.quick)
    with Stage() as stage:
        for part in o.only:
            figures = import_module(f"tests.bench.{part}").run(stage, options)
            for f in figures.figures:
                print(
                    f"{f.name:40} {f.median:10.3f} {f.unit:10} ({f.low:.3f}-{f.high:.3f}) {f.note}"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
