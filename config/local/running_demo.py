"""Whether `make demo` is running here, and under which addresses its parts answer."""

import fcntl
import os
from pathlib import Path


def demo_environment(local_dir: Path) -> str:
    """The running demo's environment file, or an empty file's path when no demo runs.

    The demo holds a lock on `demo.lock` for as long as it lives; a file that a killed demo left
    behind is therefore never believed. DEMO_DIR names another folder than the usual one.
    """
    local_dir = Path(os.environ.get("DEMO_DIR") or local_dir)
    environment, lock = local_dir / "demo.env", local_dir / "demo.lock"
    return str(environment) if environment.exists() and _is_locked(lock) else os.devnull


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
