"""What befalls the processes: killed, stopped for a while, their database restarted, their queue
emptied. Everything is decided beforehand, by the seed."""

import os
import random
import signal
import time
from bisect import insort
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from config.local.designs.stand_in import Part
from config.local.processes import Child, children_of
from tests.tools.drill.systems import ROOT

# Each kind of fault is to be hit so often, or the run proves nothing about it.
ENOUGH = 20

# What is planned of each kind, at least and by the minute: some hits find a process that is just
# dead or stopped.
PLANNED = 26
PLANNED_PER_MINUTE = 3

# How long until a strike that found nothing to hit comes again, and how often.
AGAIN_SECONDS = 1.0
TRIES = 30

# A process that is being forked while its group is let go on may miss that, and would stand still
# for ever. So whoever is to run is told so again and again.
TOLD_TO_RUN_EVERY_SECONDS = 1.0

RESTART_SECONDS = 0.5
STOPPED_SECONDS = (0.5, 8.0)


@dataclass
class Supervised:
    """A process that is started again when it ends, as a service manager does."""

    part: Part
    child: Child
    starts_at: float = 0
    continues_at: float = 0

    @property
    def is_up(self) -> bool:
        return self.child.is_running and not self.continues_at


class Fleet:
    """All processes of the system. To be used by one thread, the one that stays."""

    def __init__(self, parts: Sequence[Part], environment: Mapping[str, str], logs: Path) -> None:
        self.restarts = 0
        self._environment = environment
        self._logs = logs
        self._stopped_children: dict[int, float] = {}  # process id → when it goes on
        self._told_to_run_at = 0.0
        self.members: list[Supervised] = []
        self._made = 0
        self.add(parts)

    def add(self, parts: Sequence[Part]) -> None:
        """Further processes, which `tend` or `start` will start."""
        for number, part in enumerate(parts, self._made):
            child = Child(
                name=part.role,
                command=part.command,
                log=self._logs / f"{number:02d}-{part.role.replace(' ', '-')}.log",
                environment=self._environment,
                directory=ROOT,
            )
            self.members.append(Supervised(part, child))
        self._made += len(parts)

    def start(self) -> None:
        for member in self.members:
            member.child.start()

    def tend(self) -> None:
        """Start again what ended, let go on what was stopped long enough."""
        now = time.monotonic()
        for member in self.members:
            if member.continues_at and now >= member.continues_at:
                member.continues_at = 0
                _signal(member, signal.SIGCONT)
            if not member.child.is_running:
                if not member.starts_at:
                    member.starts_at = now + RESTART_SECONDS
                elif now >= member.starts_at:
                    member.starts_at = 0
                    member.child.start()
                    self.restarts += 1
        for child in [pid for pid, at in self._stopped_children.items() if now >= at]:
            self._let_go_on(child)
        if now - self._told_to_run_at >= TOLD_TO_RUN_EVERY_SECONDS:
            self._told_to_run_at = now
            self._tell_to_run()

    def _tell_to_run(self) -> None:
        """Not those whose children are stopped one by one: a signal to the group reaches these."""
        for member in self.members:
            if member.is_up and not member.part.has_children:
                _signal(member, signal.SIGCONT)

    def one_that_is_up(self, role: str, chance: random.Random) -> Supervised | None:
        up = [member for member in self.members if member.part.role == role and member.is_up]
        return chance.choice(up) if up else None

    def kill(self, member: Supervised) -> None:
        _signal(member, signal.SIGKILL)
        if member.child.process:
            member.child.process.wait()

    def kill_a_child(self, role: str, chance: random.Random) -> bool:
        """One process alone, of whichever machine has any; False where none has."""
        child = self._a_child(role, chance)
        if child:
            _send(child, signal.SIGKILL)
        return child is not None

    def stop_a_child_for(self, role: str, chance: random.Random, seconds: float) -> bool:
        """One process alone, while its parent and the others go on; False where there is none."""
        child = self._a_child(role, chance)
        if child:
            _send(child, signal.SIGSTOP)
            self._stopped_children[child] = time.monotonic() + seconds
        return child is not None

    def _a_child(self, role: str, chance: random.Random) -> int | None:
        up = [member for member in self.members if member.part.role == role and member.is_up]
        children = [child for member in up for child in children_of(member.child.pid)]
        return chance.choice(children) if children else None

    def _let_go_on(self, child: int) -> None:
        del self._stopped_children[child]
        _send(child, signal.SIGCONT)

    def stop_for(self, member: Supervised, seconds: float) -> None:
        _signal(member, signal.SIGSTOP)
        member.continues_at = time.monotonic() + seconds

    def let_all_go_on(self) -> None:
        for member in self.members:
            if member.continues_at:
                member.continues_at = 0
                _signal(member, signal.SIGCONT)
        for child in list(self._stopped_children):
            self._let_go_on(child)

    def kill_all(self, roles: Collection[str]) -> None:
        """They are started again by whoever tends the fleet."""
        for member in self.members:
            if member.part.role in roles and member.child.is_running:
                self.kill(member)

    def retire(self, roles: Collection[str]) -> None:
        """End the processes of these roles for good."""
        self.kill_all(roles)
        self.members = [member for member in self.members if member.part.role not in roles]

    def end(self) -> None:
        for member in self.members:
            if member.child.is_running:
                _signal(member, signal.SIGKILL)
                if member.child.process:
                    member.child.process.wait()


def _signal(member: Supervised, signum: signal.Signals) -> None:
    """To the process and to its children, gunicorn's for instance: it leads a group of its own."""
    with suppress(ProcessLookupError):
        os.killpg(member.child.pid, signum)


def _send(pid: int, signum: signal.Signals) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        os.kill(pid, signum)


@dataclass(order=True)
class Event:
    at_seconds: float
    kind: str = field(compare=False)
    act: Callable[[], bool] = field(compare=False)  # False: there was nothing to hit
    tries_left: int = field(default=TRIES, compare=False)


@dataclass
class Chaos:
    """The events of a run in the order of their time. One that finds nothing to hit, since the
    process is just being started again, comes again a moment later."""

    events: list[Event]
    hits: Counter[str] = field(default_factory=Counter)

    def tend(self, elapsed_seconds: float) -> None:
        while self.events and self.events[0].at_seconds <= elapsed_seconds:
            event = self.events.pop(0)
            has_hit = event.act()
            self.hits[event.kind] += has_hit
            if not has_hit and event.tries_left:
                at = elapsed_seconds + AGAIN_SECONDS
                insort(self.events, replace(event, at_seconds=at, tries_left=event.tries_left - 1))


def against_processes(fleet: Fleet, seconds: float, chance: random.Random) -> list[Event]:
    roles = {member.part.role for member in fleet.members} - {"service"}
    have_children = {member.part.role for member in fleet.members if member.part.has_children}
    events = []
    for role in sorted(roles):
        acts = ["killed", "stopped for a while"]
        if role in have_children:
            acts = [f"{whom} {act}" for whom in ("child", "machine") for act in acts]
        for act in acts:
            for _ in range(max(PLANNED, round(PLANNED_PER_MINUTE * seconds / 60))):
                events.append(
                    Event(
                        chance.uniform(0.02, 0.98) * seconds,
                        f"{role} {act}",
                        _against(fleet, role, act, random.Random(chance.getrandbits(31))),
                    )
                )
    return events


def _against(fleet: Fleet, role: str, act: str, chance: random.Random) -> Callable[[], bool]:
    def strike() -> bool:
        if act == "child killed":
            return fleet.kill_a_child(role, chance)
        if act == "child stopped for a while":
            return fleet.stop_a_child_for(role, chance, chance.uniform(*STOPPED_SECONDS))
        member = fleet.one_that_is_up(role, chance)
        if member is None:
            return False
        if act.endswith("stopped for a while"):
            fleet.stop_for(member, chance.uniform(*STOPPED_SECONDS))
        else:
            fleet.kill(member)
        return True

    return strike
