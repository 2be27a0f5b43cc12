"""Postgres' own pgbench: how fast the server takes the same statements from a C program."""

import os
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from config.local.postgres import VERSIONED_FOLDERS
from config.local.processes import CannotStart

RUN_SECONDS = 300


@dataclass(frozen=True)
class Pgbench:
    """One script, on one database."""

    url: str
    script: str
    protocol: str = "simple"  # or "prepared"

    def run(self, *, clients: int, each: int, **variables: int) -> tuple[float, list[float]]:
        """Transactions a second, and how long each took in seconds."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "script").write_text(self.script)
            command = [program(), "--no-vacuum", "--file=script", f"--protocol={self.protocol}"]
            command += [f"--client={clients}", f"--jobs={min(2, clients)}", "--log"]
            command += [f"--transactions={each}", "--log-prefix=took"]
            command += [
                f"--define={name}={value}" for name, value in (variables | {"each": each}).items()
            ]
            ran = subprocess.run(
                [*command, self.url],
                capture_output=True,
                text=True,
                check=False,
                cwd=folder,
                timeout=RUN_SECONDS,
                env={**os.environ, "PGOPTIONS": ""},
            )
            logs = [log.read_text() for log in Path(folder).glob("took*")]
        done = f"number of transactions actually processed: {clients * each}/"
        if ran.returncode or done not in ran.stdout:
            raise RuntimeError(f"pgbench failed:\n{ran.stdout}\n{ran.stderr[:2000]}")
        rate = re.search(r"^tps = ([\d.]+)", ran.stdout, re.MULTILINE)
        assert rate, ran.stdout
        microseconds = [int(line.split()[2]) for log in logs for line in log.splitlines()]
        return float(rate[1]), [took / 1_000_000 for took in microseconds]


def program() -> str:
    if on_path := shutil.which("pgbench"):
        return on_path
    found = sorted(VERSIONED_FOLDERS.glob("*/bin/pgbench"))
    if not found:
        raise CannotStart(
            "There is no pgbench on this machine. It comes with PostgreSQL's server: "
            "apt-get install postgresql, or brew install postgresql."
        )
    return str(found[-1])
