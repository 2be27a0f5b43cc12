"""Hooks of gunicorn that metrics over several processes need."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gunicorn.arbiter import Arbiter
    from gunicorn.workers.base import Worker

FOLDER = "PROMETHEUS_MULTIPROC_DIR"


def on_starting(server: "Arbiter") -> None:
    """Delete the figures of an earlier start, which would be counted again."""
    if folder := os.environ.get(FOLDER):
        Path(folder).mkdir(parents=True, exist_ok=True)
        for left_over in Path(folder).glob("*.db"):
            left_over.unlink()


def child_exit(server: "Arbiter", worker: "Worker") -> None:
    """Drop an ended worker's gauges, not its counters (prometheus-client, "Multiprocess Mode")."""
    if os.environ.get(FOLDER):
        from prometheus_client import multiprocess

        # `checkout.runtime.metrics` would, loaded here, add figures of this process.
        multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call] # as they left it
