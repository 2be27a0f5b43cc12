"""One command, several processes: a parent starts, watches, replaces and ends them.

The parent does nothing else. It has one thread and no connection of any kind, so it can fork at
any moment and nothing outside can make it hang. It says one thing to a child, by closing a pipe:
finish what is in hand, then end. The pipe closes by itself when the parent dies.

What a child has in hand stands in memory that its parent shares. When the child dies, a short-lived
process gives that back, and another child takes its seat, both at once.
"""

import logging
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from types import FrameType
from typing import Self

from checkout.runtime.process_name import name_of
from checkout.runtime.retry import backoff
from checkout.runtime.shared_memory import SharedRecords

logger = logging.getLogger(__name__)

# How often the parent checks all children where no signal wakes it.
CHECK_SECONDS = 1.0

# A child that dies younger than this was perhaps not able to live. The first such death of a seat
# costs nothing; after each further one in a row its successor waits twice as long.
QUICK_DEATH_SECONDS = 2.0
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 10.0
SUSPICIOUS_DEATHS = 3  # in a row: a person should look

# Where what is in hand must have been given back after a death, when the whole is to end.
GIVE_BACK_SECONDS = 10.0

# What a child does from its start to its end. It ends soon after the event is set.
Work = Callable[["Seat", threading.Event], None]
# Gives back what a dead child had in hand, by the child's name and its records.
GiveBack = Callable[[str, Mapping[int, bytes], threading.Event], None]


@dataclass
class Process:
    pid: int
    pipe: int  # our end; closing it tells the process to end
    began_at: float = field(default_factory=time.monotonic)

    def release(self) -> None:
        if self.pipe >= 0:
            os.close(self.pipe)
            self.pipe = -1


@dataclass
class Seat:
    """A place for one child after the other."""

    number: int
    records: SharedRecords
    children: int = 0  # that have sat here
    quick_deaths: int = 0  # in a row
    starts_at: float = 0.0
    process: Process | None = None

    @property
    def is_first_child(self) -> bool:
        return self.children == 1


class Supervisor:
    """Is entered before `run`: from then on `beside` runs, and on leaving no process is left."""

    def __init__(
        self,
        work: Work,
        *,
        seats: int,
        records: int,
        give_back: GiveBack,
        stale_after_seconds: float,
        beside: Callable[[threading.Event], None] | None = None,
        on_check: Callable[[bool], None] = lambda is_fresh: None,
        on_death: Callable[[int], None] = lambda pid: None,
    ) -> None:
        """`beside` is one more process, which has no seat. `on_check` is told each second whether
        all children get somewhere, `on_death` the process id of a child that has ended."""
        self._work = work
        self._give_back = give_back
        self._stale_after_seconds = stale_after_seconds
        # The probes have said before that the child is stale, and a person may have looked.
        self._hung_after_seconds = 2 * stale_after_seconds
        self._beside = beside
        self._on_check = on_check
        self._on_death = on_death
        self._seats = [Seat(number, SharedRecords(records)) for number in range(seats)]
        self._own = SharedRecords(0)
        self._helper: Process | None = None  # the one that runs `beside`
        self._giving_back: list[Process] = []
        self._wake_read, self._wake_write = -1, -1
        self._undo = ExitStack()

    def __enter__(self) -> Self:
        self._wake_read, self._wake_write = os.pipe()
        self._undo.callback(os.close, self._wake_read)
        self._undo.callback(os.close, self._wake_write)
        os.set_blocking(self._wake_write, False)
        before = signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        self._undo.callback(signal.set_wakeup_fd, before)
        # With a handler of ours, even an empty one, each death wakes `_sleep`.
        child_before = signal.signal(signal.SIGCHLD, lambda signum, frame: None)
        self._undo.callback(signal.signal, signal.SIGCHLD, child_before)
        self._start_beside()
        return self

    def __exit__(self, *error: object) -> None:
        self._kill(*self._children())
        self._wait_for_all(GIVE_BACK_SECONDS)
        self._undo.close()

    def run(self, stopping: threading.Event, *, finish_seconds: float) -> None:
        """Supervise until `stopping` is set, and wait until all have ended. A process that has not
        ended after `finish_seconds` is killed on leaving, and what it had in hand is given back."""
        while not stopping.is_set():
            self._check_all()
            self._sleep(CHECK_SECONDS)
        for signum in (signal.SIGTERM, signal.SIGINT):
            before = signal.signal(signum, self._end_now)
            self._undo.callback(signal.signal, signum, before)
        for process in self._children():
            process.release()
        self._wait_for_all(finish_seconds)

    def beat(self) -> None:
        """Say that the parent is alive while it waits for something before `run`."""
        self._own.beat()
        for seat in self._seats:
            seat.records.beat()
        self._on_check(True)

    def is_fresh(self) -> bool:
        """Whether the parent and all children get somewhere. May be asked in a process of ours."""
        everybody = [self._own, *(seat.records for seat in self._seats)]
        return all(r.seconds_since_beat() < self._stale_after_seconds for r in everybody)

    # --- While it runs --------------------------------------------------------------------------

    def _check_all(self) -> None:
        self._own.beat()
        self._reap()
        for seat in self._seats:
            if seat.process is None and time.monotonic() >= seat.starts_at:
                self._start_child(seat)
            elif seat.process and seat.records.seconds_since_beat() > self._hung_after_seconds:
                logger.error(
                    "A process got nowhere and was killed", extra={"pid": seat.process.pid}
                )
                self._kill(seat.process)
                seat.records.beat()  # its death is noticed in a moment
        self._start_beside()
        self._on_check(self.is_fresh())

    def _start_beside(self) -> None:
        if self._beside and self._helper is None:
            self._helper = self._fork(self._beside)

    def _start_child(self, seat: Seat) -> None:
        seat.children += 1
        seat.records.beat()
        seat.process = self._fork(lambda stopping: self._work(seat, stopping))
        if seat.process is None:
            seat.starts_at = time.monotonic() + CHECK_SECONDS

    def _reap(self) -> None:
        for seat in self._seats:
            if seat.process and (status := _status_of(seat.process)) is not None:
                self._child_ended(seat, seat.process, status)
        if self._helper and _status_of(self._helper) is not None:
            self._helper.release()
            self._helper = None
        for giver in [g for g in self._giving_back if _status_of(g) is not None]:
            giver.release()
            self._giving_back.remove(giver)

    def _child_ended(self, seat: Seat, process: Process, status: int) -> None:
        lived = time.monotonic() - process.began_at
        in_hand = seat.records.contents()
        self._on_death(process.pid)
        process.release()
        seat.process = None
        for place in in_hand:
            seat.records.clear(place)
        seat.quick_deaths = seat.quick_deaths + 1 if lived < QUICK_DEATH_SECONDS else 0
        seat.starts_at = time.monotonic() + _pause_after(seat.quick_deaths)
        if status:
            extra = {"pid": process.pid, "status": os.waitstatus_to_exitcode(status)}
            level = logging.ERROR if seat.quick_deaths >= SUSPICIOUS_DEATHS else logging.WARNING
            logger.log(level, "A process died and is replaced", extra=extra)
        if in_hand:
            name = name_of(process.pid)
            giver = self._fork(lambda stopping: self._give_back(name, in_hand, stopping))
            self._giving_back += [giver] if giver else []

    def _sleep(self, seconds: float) -> None:
        """Sleep for so long, or until a signal comes; the death of a child sends one too."""
        if any(seat.process is None for seat in self._seats):
            seconds = min(seconds, FIRST_PAUSE_SECONDS / 5)
        if select.select([self._wake_read], [], [], seconds)[0]:
            os.read(self._wake_read, 4096)

    # --- The end --------------------------------------------------------------------------------

    def _wait_for_all(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (self._children() or self._giving_back) and time.monotonic() < until:
            self._own.beat()
            self._reap()
            if self._children() or self._giving_back:
                self._sleep(0.1)

    def _end_now(self, signum: int, frame: FrameType | None) -> None:
        """End all at once, after a second signal. Nothing is lost: what was in hand comes again."""
        self._kill(*self._children())
        signal.signal(signum, signal.SIG_DFL)
        os.kill(os.getpid(), signum)

    def _children(self) -> list[Process]:
        seated = [seat.process for seat in self._seats if seat.process]
        return seated + ([self._helper] if self._helper else [])

    def _kill(self, *processes: Process) -> None:
        for process in processes:
            with suppress(ProcessLookupError):  # it ended by itself, and is not yet reaped
                os.kill(process.pid, signal.SIGKILL)

    # --- In the child ---------------------------------------------------------------------------

    def _fork(self, act: Callable[[threading.Event], None]) -> Process | None:
        """Start a process. None: the machine has no room for one just now; the others go on."""
        theirs, ours = os.pipe()
        sys.stdout.flush()
        sys.stderr.flush()
        try:
            pid = os.fork()
        except OSError as error:
            logger.error("A process could not be started", extra={"error": error.strerror})
            os.close(theirs)
            os.close(ours)
            return None
        if pid:
            os.close(theirs)
            return Process(pid, ours)
        status = 1
        try:
            os.close(ours)
            self._forget_what_is_the_parents()
            act(_stop_event(theirs))
            status = 0
        except BaseException:
            logger.exception("A process ended by an error")
        finally:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)  # nothing that the parent began is to be ended here a second time

    def _forget_what_is_the_parents(self) -> None:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.close(self._wake_read)
        os.close(self._wake_write)
        # Or they would stay open when the parent dies, and the others would not notice.
        for process in [*self._children(), *self._giving_back]:
            process.release()


def _stop_event(pipe: int) -> threading.Event:
    """Return an event that is set when the parent says so or dies, and by SIGTERM or SIGINT."""
    stopping = threading.Event()

    def wait() -> None:
        os.read(pipe, 1)
        stopping.set()

    threading.Thread(target=wait, name="parent", daemon=True).start()
    # A terminal sends Ctrl-C to children too, and a service manager sends SIGTERM to them. Once or
    # twice means the same to a child; the parent counts.
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda signum, frame: stopping.set())
    return stopping


def _status_of(process: Process) -> int | None:
    """How the process ended; None while it has not."""
    pid, status = os.waitpid(process.pid, os.WNOHANG)
    return status if pid else None


def _pause_after(quick_deaths: int) -> float:
    if quick_deaths <= 1:
        return 0.0
    return backoff(quick_deaths - 1, first=FIRST_PAUSE_SECONDS, longest=LONGEST_PAUSE_SECONDS)
