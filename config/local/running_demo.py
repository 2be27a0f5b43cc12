"""Finds the settings of a `make demo` that is running here."""

import fcntl
import os
from pathlib import Path

from config.local.locks import take_lock


def demo_environment(local_dir: Path) -> str:
    """Return the path of the running demo's settings, or of an empty file when no demo runs.

    The demo holds a lock on `demo.lock` for as long as it lives; a file that a killed demo left
    behind is therefore never believed. DEMO_DIR may name another folder.
    """
    local_dir = Path(os.environ.get("DEMO_DIR") or local_dir)
    environment, lock = local_dir / "demo.env", local_dir / "demo.lock"
    return str(environment) if environment.exists() and _is_locked(lock) else os.devnull


def _is_locked(path: Path) -> bool:
    try:
        with path.open() as file:
            return not take_lock(file.fileno(), fcntl.LOCK_SH)
    except OSError:
        return False
