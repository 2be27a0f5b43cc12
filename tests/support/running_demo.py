"""`make demo` as a process of its own, with what it says and what it has started."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import Popen

from tests.support.processes import eventually

ROOT = Path(__file__).resolve().parents[2]

# What the demo brings when nobody has set it.
BROUGHT = ["DATABASE_URL", "AWS_ENDPOINT_URL"]
# The tests set these, and a newcomer has not.
OF_TESTS = ["STAFF_SECOND_FACTOR"]

DEMO = [sys.executable, "-m", "config.local.demo"]

# What the demo has started may take 18 seconds to end, and is killed then.
END_SECONDS = 90

# A company's proxy, which does not reach this machine.
PROXY = {"HTTP_PROXY": "http://127.0.0.1:9", "http_proxy": "http://127.0.0.1:9", "NO_PROXY": ""}


class RunningDemo:
    def __init__(self, folder: Path, port: int, command: Sequence[str] = DEMO) -> None:
        self.folder = folder
        self.port = port
        self.output = folder / f"output-{port}.txt"
        unset = {*BROUGHT, *OF_TESTS}
        environment = {name: value for name, value in os.environ.items() if name not in unset}
        with self.output.open("wb") as output:
            self.process: Popen[bytes] = Popen(
                command,
                cwd=ROOT,
                env=environment | PROXY | {"DEMO_DIR": str(folder), "PORT": str(port)},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def wait_for(self, words: str, *, seconds: float = 60) -> None:
        def is_said() -> bool:
            assert self.process.poll() is None or words in self.said, self.said
            return words in self.said

        eventually(is_said, seconds=seconds, what=f"saying {words!r}")

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=END_SECONDS)

    def pid_of(self, part: str) -> int:
        return int(re.findall(rf"(\d+) \({part}\)", self.said)[-1])

    def settings(self) -> dict[str, str]:
        lines = (self.folder / "demo.env").read_text().splitlines()
        return dict(line.split("=", 1) for line in lines)

    def processes(self) -> set[int]:
        """Every process it has started, and those that they have started."""
        started, parents = set(), {self.process.pid}
        while parents:
            parents = {pid for pid, parent in _process_table() if parent in parents}
            started |= parents
        return started


def _process_table() -> Iterator[tuple[int, int]]:
    """(process, its parent)"""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue  # it has ended meanwhile
        yield int(folder.name), parent


def are_gone(pids: set[int]) -> bool:
    return not pids & {pid for pid, _ in _process_table()}
