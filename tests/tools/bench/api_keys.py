"""Rounds of sixteen requests with one key over two web processes, as many as are asked for.

`python -m tests.tools.bench.api_keys --rounds 1000` prints what became of them; exit code 1 means
that a round made more or fewer than one order.
"""

import argparse
import os
import sys
import time

import pytest

ROUNDS = "API_KEYS_ROUNDS"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=1000)
    os.environ[ROUNDS] = str(parser.parse_args().rounds)
    began = time.monotonic()
    # The test itself, which brings its own Postgres and processes.
    options = ["-q", "-s", "-p", "no:cacheprovider", "-p", "no:randomly", "--timeout=0"]
    code = pytest.main([*options, "tests/api/test_at_once.py"])
    print(f"{time.monotonic() - began:.0f} s in all")
    return int(code)


if __name__ == "__main__":
    sys.exit(main())
