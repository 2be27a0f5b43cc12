"""Child processes that end when this process ends, however it ends."""

import ctypes
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from config.local.locks import take_byte

# Below the range from which Linux and macOS take the ports of outgoing connections: a server can
# come back on its port after a restart, and no connection takes it meanwhile.
PORTS = range(15_000, 30_000)

POLL_SECONDS = 0.02

# prctl(2)
PR_SET_PDEATHSIG = 1


class CannotStart(Exception):
    """A part of the demo could not be started. The message is one line for a person."""


# This process has taken these, which its own locks do not tell it.
_taken: set[int] = set()


def free_port() -> int:
    while True:
        port = random.choice(PORTS)  # noqa: S311 - no secret
        if take_port(port):
            return port


def take_port(port: int) -> bool:
    """Whether the port is free and is this process's from now until its end: its server may listen
    there seconds later, and no other process that asks here gets the port meanwhile."""
    if port in _taken or not take_byte(_ports_lock(), port):
        return False
    _taken.add(port)
    return port_is_free(port)


@cache
def _ports_lock() -> int:
    """Stays open, for to close it would give all locks back. One file for each user of this
    machine, whatever copy of the shop runs."""
    file = Path(tempfile.gettempdir(), f"shop-ports-{os.geteuid()}.lock")
    return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)


def port_is_free(port: int) -> bool:
    with socket.socket() as probe:
        # Servers set this too: the connections of an earlier one do not keep the port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            raise CannotStart(f"Port {port} is reserved for root. Take one above 1023.") from None
        except OSError:
            return False
    return True


def end_with_parent(death_signal: signal.Signals) -> None:
    """Have the kernel send this process a signal when its parent ends. Only Linux can."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, death_signal)


def as_user(user: pwd.struct_passwd | None) -> dict[str, Any]:
    """The arguments that make `subprocess` run a program as this user; None: as this process's."""
    if user is None:
        return {}
    return {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": [user.pw_gid]}


def _before_exec(death_signal: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def in_child() -> None:
        # This follows setuid, which would clear it. A parent that is gone already sends no signal.
        end_with_parent(death_signal)
        if os.getppid() != parent:
            os._exit(1)

    return in_child


@dataclass(kw_only=True)
class Child:
    """A process in a session of its own, so that Ctrl-C reaches this process alone.

    Start it in a thread that stays: the kernel takes the thread's end for the end of the parent.
    """

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] | None = None
    directory: Path | None = None
    death_signal: signal.Signals = signal.SIGKILL
    stop_signal: signal.Signals = signal.SIGTERM
    user: pwd.struct_passwd | None = None
    pass_fds: Sequence[int] = ()
    process: subprocess.Popen[bytes] | None = field(default=None, init=False)
    started_at: float = field(default=0, init=False)  # in seconds since 1970; 0: never

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=self.environment,
                cwd=self.directory,
                **as_user(self.user),
                pass_fds=self.pass_fds,
                start_new_session=True,
                preexec_fn=_before_exec(self.death_signal),
            )
        self.started_at = time.time()

    @property
    def pid(self) -> int:
        return self.process.pid if self.process else 0

    @property
    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def send(self, signum: signal.Signals) -> None:
        if self.process:
            self.process.send_signal(signum)  # does nothing to a process that was waited for

    def last_lines(self, count: int) -> list[str]:
        try:
            return self.log.read_text(errors="replace").splitlines()[-count:]
        except OSError:
            return []


def children_of(pid: int) -> list[int]:
    """The process ids of a process's own children. Only Linux tells them."""
    try:
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [int(child) for child in listed.split()]


def wait_until(condition: Callable[[], bool], *, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while not (fulfilled := condition()) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    return fulfilled


def stop(children: Iterable[Child], *, seconds: float) -> None:
    """Ask all children at once to end, and kill those that take longer."""
    running = [child for child in children if child.is_running]
    for child in running:
        child.send(child.stop_signal)
    wait_until(lambda: not any(child.is_running for child in running), seconds=seconds)
    for child in running:
        child.send(signal.SIGKILL)
        if child.process:
            child.process.wait()
