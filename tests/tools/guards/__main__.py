"""Take each guard out of a copy of the source, and see its test fail.

Exit code 0: every guard is noticed when it is missing.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.tools.guards.catalogue import GUARDS, Guard

ROOT = Path(__file__).resolve().parents[3]

LIMIT_SECONDS = 300

# Tests failed, says pytest. Anything else means that the test did not get to its question.
PYTEST_FAILED = 1

AT_ONCE = 2


def without(guard: Guard) -> tuple[bool, str]:
    """Whether the test noticed, and what pytest said last."""
    with tempfile.TemporaryDirectory(prefix="guard-") as folder:
        copy = Path(folder)
        copy.chmod(0o755)
        copy_source(copy)
        for edit in guard.edits:
            file = copy / edit.file
            file.write_text(edited(file.read_text(), edit.old, edit.new))
        ran = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", guard.test],
            cwd=copy,
            capture_output=True,
            text=True,
            timeout=LIMIT_SECONDS,
            check=False,
        )
    last = (ran.stdout.strip() or ran.stderr.strip()).splitlines()[-1:]
    return ran.returncode == PYTEST_FAILED, "".join(last)


def copy_source(copy: Path) -> None:
    """What is in the working tree, changes included, without what is ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        source = ROOT / name
        if source.is_file():
            target = copy / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(source.read_bytes())


def edited(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1, f"{old!r} occurs {text.count(old)} times"
    return text.replace(old, new)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.guards", description=__doc__)
    parser.add_argument("name", nargs="*", help="some guards only; all without")
    wanted = parser.parse_args().name
    if unknown := set(wanted) - {guard.name for guard in GUARDS}:
        parser.error(f"no such guard: {', '.join(sorted(unknown))}")
    guards = [guard for guard in GUARDS if not wanted or guard.name in wanted]
    began = time.monotonic()
    unnoticed = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for guard, (noticed, said) in zip(guards, pool.map(without, guards), strict=True):
            unnoticed += not noticed
            test = guard.test.rpartition("::")[2]
            print(f"{'noticed' if noticed else 'MISSED '}  {guard.name:<40} {test}", flush=True)
            if not noticed:
                print(f"         {said}")
    print(
        f"{len(guards)} guards taken out, {unnoticed} unnoticed, {time.monotonic() - began:.0f} s."
    )
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
