"""The shop's own processes, as operators run them, on a test's database and queue."""

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from subprocess import Popen
from typing import Any

import requests
from django.conf import settings
from django.db import connection

from config.local.processes import Child, free_port, stop

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 60
# Looked at so often at first, and ever less: each look asks the database, a queue or a server.
FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS = 0.02, 0.1
HOOKS = "config/gunicorn_hooks.py"


def database_url(*, port: int | None = None) -> str:
    """Of the test's database; another port leads there over a proxy."""
    parts = connection.settings_dict
    secret = f":{parts['PASSWORD']}" if parts["PASSWORD"] else ""
    return (
        f"postgres://{parts['USER']}{secret}@{parts['HOST']}:{port or parts['PORT']}"
        f"/{parts['NAME']}"
    )


def eventually(true: Callable[[], bool], *, seconds: float = 60, what: str = "it") -> None:
    deadline = time.monotonic() + seconds
    pause = FIRST_LOOK_SECONDS
    while not true():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(pause)
        pause = min(LAST_LOOK_SECONDS, pause * 1.2)


def is_alive(pid: int) -> bool:
    return state_of(pid) not in {"", "Z"}  # Z: ended, and not yet reaped


def state_of(pid: int) -> str:
    """The letter that Linux has for it; nothing where there is no such process."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # also if it is gone between open and read
        return ""


class Preparer:
    """The process of `tests.support.prepared`, of which all others are copies. One for each process
    that runs tests."""

    def __init__(self) -> None:
        self._socket, theirs = socket.socketpair()
        # -P: no module of this repository is found, let alone loaded.
        command = [sys.executable, "-P", str(ROOT / "tests" / "support" / "prepared.py")]
        with theirs:
            self._process = Popen(command, stdin=theirs.fileno(), start_new_session=True)

    def start(
        self,
        command: Sequence[str],
        *,
        environment: Mapping[str, str],
        directory: Path,
        said: Path,
        errors: Path,
    ) -> "Prepared":
        request = {
            "command": json.dumps(list(command)),
            "environment": json.dumps(dict(environment)),
            "directory": str(directory),
            "said": str(said),
            "errors": str(errors),
        }
        ended, theirs = os.pipe()
        socket.send_fds(self._socket, [json.dumps(request).encode()], [theirs])
        os.close(theirs)
        told = self._socket.recv(10, socket.MSG_WAITALL)
        return Prepared(command, int(told), ended)

    def stop(self) -> None:
        self._socket.close()
        self._process.wait(timeout=10)


@cache
def preparer() -> Preparer:
    made = Preparer()
    atexit.register(made.stop)
    return made


class Prepared(Popen[bytes]):
    """A process that is a child of the preparer, which tells its end."""

    def __init__(self, command: Any, pid: int, ended: int) -> None:
        self._child_created = False  # not by this process, says the base class
        self.args, self.pid, self.returncode = command, pid, None
        self.stdin = self.stdout = self.stderr = None
        self._ended = ended

    def poll(self) -> int | None:
        self._look(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self._look(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def _look(self, seconds: float | None) -> None:
        if self.returncode is None and select.select([self._ended], [], [], seconds)[0]:
            self.returncode = int(os.read(self._ended, 10))
            os.close(self._ended)


class PreparedChild(Child):
    def start(self) -> None:
        assert self.environment is not None
        assert self.directory
        self.log.touch()  # to be read before the process has opened it
        self.process = preparer().start(
            self.command,
            environment=self.environment,
            directory=self.directory,
            said=self.log,
            errors=self.log,
        )


def run(
    command: Sequence[str], environment: Mapping[str, str], *, seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """`python manage.py …` or `python -m …` to its end."""
    with tempfile.TemporaryDirectory() as folder:
        said, errors = Path(folder, "said"), Path(folder, "errors")
        process = preparer().start(
            command, environment=environment, directory=ROOT, said=said, errors=errors
        )
        code = process.wait(seconds)
        return subprocess.CompletedProcess(command, code, said.read_text(), errors.read_text())


class ShopProcesses:
    """Starts them with one environment and ends them, each by its own id."""

    def __init__(self, logs: Path, *, directory: Path = ROOT, **environment: str) -> None:
        self._logs = logs
        self._directory = directory
        self._started: list[Child] = []
        self.environment: Mapping[str, str] = {
            **os.environ,
            "DATABASE_URL": database_url(),
            "PAYMENTS_QUEUE_NAME": settings.PAYMENTS_QUEUE_NAME,
            "MESSAGE_VISIBILITY_SECONDS": str(settings.MESSAGE_VISIBILITY_SECONDS),
            "PAYMENT_LEASE_SECONDS": str(settings.PAYMENT_LEASE_SECONDS),
            "AWS_ENDPOINT_URL": settings.AWS_ENDPOINT_URL,
            "ALLOWED_HOSTS": "127.0.0.1",
            "HTTPS_ONLY": "false",
            "SANDBOX_GATEWAY_ALLOWED": "true",
            **environment,
        }

    def manage(self, *arguments: str, **environment: str) -> Popen[bytes]:
        return self._start([sys.executable, "manage.py", *arguments], environment)

    def worker(self, *more: str, **environment: str) -> Popen[bytes]:
        # Tests hide messages for seconds instead of minutes, which a check would refuse.
        arguments = ["--wait-seconds", "1", "--skip-checks", *more]
        return self.manage("run_payment_worker", *arguments, **environment)

    def publisher(self, *more: str, **environment: str) -> Popen[bytes]:
        return self.manage("run_outbox_publisher", "--skip-checks", *more, **environment)

    def mailer(self, *more: str, **environment: str) -> Popen[bytes]:
        return self.manage("run_mailer", "--skip-checks", *more, **environment)

    def webhook_sender(self, *more: str, **environment: str) -> Popen[bytes]:
        return self.manage("run_webhook_sender", "--skip-checks", *more, **environment)

    def web(self, *more: str, **environment: str) -> "WebProcess":
        """A production server of one process, unless `more` says otherwise; answers when it
        serves."""
        port = free_port()
        command = [sys.executable, "-m", "gunicorn", "config.wsgi", f"--bind=127.0.0.1:{port}"]
        if (self._directory / HOOKS).exists():  # an earlier release had none
            command += [f"--config={HOOKS}"]
        command += ["--worker-class=gthread", "--threads=8", "--workers=1"]
        # A connection is kept as long as in a shop that is deployed. After gunicorn's own 2 s it
        # would be closed when a browser is about to use it.
        command += ["--keep-alive=75", "--no-control-socket", *more]
        process = self._start(command, environment)
        web = WebProcess(f"http://127.0.0.1:{port}", process)
        eventually(web.is_ready, seconds=START_SECONDS, what=f"the start of {web.url}")
        return web

    def _start(self, command: list[str], environment: Mapping[str, str]) -> Popen[bytes]:
        name = Path(command[2]).name
        child = PreparedChild(
            name=name,
            command=command,
            log=self._logs / f"{len(self._started):02d}-{name}.log",
            environment={**self.environment, **environment},
            directory=self._directory,
        )
        self._started.append(child)
        child.start()
        assert child.process
        return child.process

    def stop(self) -> None:
        stop(self._started, seconds=10)

    def kill(self) -> None:
        """At the end of a test, when nobody asks any more how they end: to be stopped, each waits
        for what it has in hand and for connections that were left open. Each leads its group."""
        running = [child.process for child in self._started if child.process and child.is_running]
        for process in running:
            with suppress(ProcessLookupError):  # it has just ended, or has no group yet
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
        for process in running:
            process.wait(timeout=10)

    def has_said(self, process: Popen[bytes], words: str) -> bool:
        [child] = [child for child in self._started if child.process is process]
        return words in child.log.read_text()

    def lines(self) -> list[str]:
        """What they have written, without a line of which a part may be there so far."""
        logs = [log.read_text() for log in sorted(self._logs.glob("*.log"))]
        return [line for log in logs for line in log.rpartition("\n")[0].splitlines()]

    def said(self) -> str:
        """Everything they have written, for a look after a failure."""
        return "\n".join(log.read_text() for log in sorted(self._logs.glob("*.log")))


class WebProcess:
    def __init__(self, url: str, process: Popen[bytes]) -> None:
        self.url = url
        self.process = process

    def is_ready(self) -> bool:
        assert self.process.poll() is None, "the web process ended"
        try:
            return requests.get(f"{self.url}/readyz", timeout=5).status_code == 200
        except (requests.ConnectionError, requests.Timeout):
            return False
