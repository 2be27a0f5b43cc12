"""A clock of its own for each process: wrong by up to ten minutes, and jumping every seven seconds.
Postgres, queue, gateways and the records that are kept outside have the machine's."""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from config.local.designs.stand_in import Part
from config.local.processes import CannotStart

SOURCE = Path(__file__).with_name("wrong_clock.c")

COMPILERS = ("cc", "gcc", "clang")


def compiler() -> str | None:
    return next((found for name in COMPILERS if (found := shutil.which(name))), None)


def wrong_clocks(parts: Sequence[Part], folder: Path, seed: int) -> list[Part]:
    """The same processes with clocks that are wrong. Raises CannotStart without a compiler."""
    library = compiled(folder)
    return [
        replace(
            part,
            command=["env", f"LD_PRELOAD={library}", f"WRONG_CLOCK_SEED={seed}", *part.command],
        )
        for part in parts
    ]


def compiled(folder: Path) -> Path:
    found = compiler()
    if found is None:
        raise CannotStart(f"Wrong clocks need a C compiler: one of {', '.join(COMPILERS)}.")
    library = folder / "wrong_clock.so"
    ran = subprocess.run(
        [found, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"],
        capture_output=True,
        text=True,
        check=False,
    )
    if ran.returncode:
        raise CannotStart(f"The wrong clock cannot be compiled: {ran.stderr.strip()[-300:]}")
    return library
