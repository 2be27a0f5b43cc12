"""A queue that is lost for good, with its messages: another one elsewhere takes over, under another
name. In the end the lost ones come back, each with a worker that nobody has told of the new one."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Collection, MutableMapping
from pathlib import Path

import requests

from config.local.crowd.comparison import Promise
from config.local.designs.stand_in import Part
from config.local.processes import Child, free_port, stop, wait_until
from tests.tools.drill.systems import MANAGE, ROOT, START_SECONDS, answers

ASK_SECONDS = 30

OF_A_LOST_QUEUE = "worker of a lost queue"


class Queues:
    """The double in use is the last one. All write into one journal, which is kept outside."""

    def __init__(
        self, folder: Path, environment: MutableMapping[str, str], seed: int, name: str
    ) -> None:
        self.journal = folder / "queue.jsonl"
        self.name = name
        self._folder = folder
        self._environment = environment
        self._seed = seed
        self._doubles: list[Child] = []
        self._urls: list[str] = []
        self._lost: dict[str, str] = {}  # the name of each, and where it is
        self._back: dict[str, str] = {}  # the same of those that are there again
        self._came_back_with = 0
        self._is_hostile = False
        self._hits_of_lost: Counter[str] = Counter()

    @property
    def url(self) -> str:
        return self._urls[-1]

    def stop(self) -> None:
        for double in self._doubles:
            double.send(signal.SIGCONT)
        stop(self._doubles, seconds=10)

    def open(self) -> None:
        """Start a double, and tell whatever is started from here on where it is."""
        port = free_port()
        number = len(self._doubles) + 1
        command = [sys.executable, "-m", "config.local.sqs_double", f"--port={port}"]
        command += [f"--hostile={self._seed + number - 1}", f"--journal={self.journal}"]
        double = Child(
            name="queue",
            command=command,
            log=self._folder / f"queue-{number}.log",
            environment=self._environment,
            directory=ROOT,
        )
        double.start()
        self._doubles.append(double)
        self._urls.append(f"http://127.0.0.1:{port}")
        if not wait_until(lambda: answers(f"{self.url}/control/faults"), seconds=START_SECONDS):
            raise RuntimeError(f"{self.url} does not answer.")
        self._environment["AWS_ENDPOINT_URL"] = self.url
        self._tell_hostile(False)

    def lose(self, start_again: Callable[[], None]) -> bool:
        """Whoever knows only the lost one is started again, and is told where to go. To them the
        lost one is silent: connections are taken, and nothing is ever answered."""
        self._hits_of_lost.update(self._told_hits())
        self._lost[self.name] = self.url
        self._doubles[-1].send(signal.SIGSTOP)
        self.open()
        self.name = f"payments-{len(self._doubles)}.fifo"
        self._environment["PAYMENTS_QUEUE_NAME"] = self.name
        subprocess.run(
            [*MANAGE, "ensure_queues"],
            env=self._environment,
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
        )
        self._tell_hostile(self._is_hostile)
        start_again()
        return True

    def set_hostile(self, on: bool) -> None:
        self._is_hostile = on
        self._tell_hostile(on)

    def _tell_hostile(self, on: bool) -> None:
        """All that are not lost."""
        for url in self._urls:
            if url not in self._lost.values():
                wish = {"on": on}
                requests.post(f"{url}/control/hostile", json=wish, timeout=30).raise_for_status()

    def make_likelier(self, faults: Collection[str]) -> None:
        wish = {"faults": list(faults)}
        requests.post(f"{self.url}/control/likelier", json=wish, timeout=30).raise_for_status()

    def hits(self) -> Counter[str]:
        """Each fault of all doubles. A lost one has none while it is lost, and is peaceful when it
        comes back."""
        hits = self._hits_of_lost.copy()
        hits.update(self._told_hits())
        return hits

    def _told_hits(self) -> dict[str, int]:
        """By the double in use."""
        told: dict[str, int] = requests.get(
            f"{self.url}/control/faults", timeout=ASK_SECONDS
        ).json()
        return told

    def purge(self) -> bool:
        """By whoever opened the console of the wrong account."""
        wish = {"queue": self.name}
        return requests.post(f"{self.url}/control/purge", json=wish, timeout=30).ok

    def come_back(self, worker: list[str]) -> list[Part]:
        """All lost ones, with what they had. The parts are to be started."""
        for double in self._doubles[:-1]:
            double.send(signal.SIGCONT)
        self._back, self._lost = self._lost, {}
        self.set_hostile(False)
        self._came_back_with = self.left_behind()
        return [
            Part(
                OF_A_LOST_QUEUE,
                ["env", f"AWS_ENDPOINT_URL={url}", f"PAYMENTS_QUEUE_NAME={name}", *worker],
                has_children=True,
            )
            for name, url in self._back.items()
        ]

    def left_behind(self) -> int:
        """How many messages are still in queues that were lost."""
        return sum(self._waiting(url, name) for name, url in self._back.items())

    def emptied(self) -> Promise:
        left = self.left_behind()
        broken = [f"{left} messages are still there"] if left else []
        words = "A lost queue that comes back is emptied (messages)"
        return Promise(words, self._came_back_with, broken)

    def _waiting(self, url: str, name: str) -> int:
        told = requests.get(f"{url}/control/messages", timeout=ASK_SECONDS).json()
        return len(told.get(name, []))
