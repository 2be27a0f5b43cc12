"""A process that hangs is found; one that waits for SQS or a mail server is not taken for it."""

import os
import signal
import time
from pathlib import Path
from subprocess import Popen

import pytest
import requests
from django.core.management import CommandError, call_command
from django.utils import timezone

from checkout.orders.models import ProcessAlive
from checkout.orders.operations.gauges import FORGET_AFTER, forget_processes
from checkout.orders.operations.liveness import Alive
from config.local.processes import free_port
from tests.support.long import all_or
from tests.support.processes import ShopProcesses, eventually

START = {
    "worker": lambda processes, *more: processes.worker(*more),
    "publisher": lambda processes, *more: processes.publisher(*more),
    "mailer": lambda processes, *more: processes.mailer(*more, SHOP_URL="https://shop.example"),
}


def is_alive(file: Path, max_age: float) -> bool:
    try:
        call_command("check_worker", f"--alive-file={file}", f"--max-age={max_age}")
    except CommandError:
        return False
    return True


@pytest.mark.parametrize("kind", all_or(["worker"], list(START)))
def test_stopped_process_goes_stale_and_a_continued_one_is_fresh_again(
    processes: ShopProcesses, tmp_path: Path, kind: str
) -> None:
    file, port = tmp_path / "alive", free_port()
    process: Popen[bytes] = START[kind](processes, f"--alive-file={file}", f"--metrics-port={port}")
    eventually(lambda: is_alive(file, 5), seconds=60, what="the first beat")
    health = f"http://127.0.0.1:{port}/healthz"
    assert requests.get(health, timeout=10).status_code == 200

    os.killpg(process.pid, signal.SIGSTOP)  # a worker's children with it
    try:
        eventually(lambda: not is_alive(file, 3), what="going stale")
        with pytest.raises(requests.Timeout):
            requests.get(health, timeout=1)
    finally:
        os.killpg(process.pid, signal.SIGCONT)

    eventually(lambda: is_alive(file, 3), what="being fresh again")
    process.terminate()
    assert process.wait(timeout=70) == 0


def test_worker_that_waits_for_sqs_to_come_back_is_alive(
    processes: ShopProcesses, tmp_path: Path
) -> None:
    file = tmp_path / "alive"
    processes.worker(f"--alive-file={file}", AWS_ENDPOINT_URL=f"http://127.0.0.1:{free_port()}")
    eventually(lambda: is_alive(file, 30), seconds=60, what="the first beat")
    first = file.stat().st_mtime

    eventually(lambda: file.stat().st_mtime > first, seconds=60, what="another beat")


def test_process_that_gets_nowhere_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    alive = Alive("worker")
    assert alive.is_fresh()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 121)

    assert not alive.is_fresh()


def test_missing_file_is_not_alive(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is not there"):
        call_command("check_worker", f"--alive-file={tmp_path / 'none'}")


def test_processes_that_are_long_gone_are_forgotten(db: None) -> None:
    now = timezone.now()
    for name, seen in (("old", now - FORGET_AFTER * 2), ("new", now)):
        ProcessAlive.objects.create(name=name, kind="worker", seen_at=seen)

    forget_processes(now=now)

    assert ProcessAlive.objects.get().name == "new"


def test_beat_never_fails(db: None, tmp_path: Path) -> None:
    Alive("worker", file=tmp_path / "no" / "such" / "folder").beat()
    assert ProcessAlive.objects.get().kind == "worker"
