"""Presses over HTTP: from one process that takes little, to the shop's real web processes."""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count

from tests.tools.bench.figures import Contender, Round
from tests.tools.bench.purchases import Purchase, fill_carts, press
from tests.tools.bench.stage import FOLDER, ROOT, WEB_PROCESSES, web_threads

# One for each thread of the web processes.
CLIENTS = WEB_PROCESSES * web_threads()

# Too large to be mistaken for another number of a statement; see `statements`.
_numbers = count(1_000_000)


@dataclass(frozen=True)
class Basket:
    """What every shopper of a contender buys."""

    lines: int = 3
    is_flash_sale: bool = False

    def filled(self, how_many: int) -> list[Purchase]:
        """Of so many new shoppers, in the database that is in use."""
        purchases = [
            Purchase(next(_numbers), self.lines, self.is_flash_sale) for _ in range(how_many)
        ]
        fill_carts(purchases)
        return purchases


@dataclass(frozen=True)
class Presses:
    """What came of many."""

    took: float
    seconds: list[float]
    answered_at: list[float]
    statuses: dict[str, int]


@dataclass(frozen=True)
class OverHttp:
    ports: Sequence[int]
    basket: Basket = Basket()
    connections: int = CLIENTS

    def turn_of(self, each: int) -> Contender:
        """So many orders on each connection."""
        return lambda number: self.place(self.basket.filled(each * self.connections))

    def place(self, purchases: Sequence[Purchase], *, a_second: float = 0) -> Round:
        told = self.send(purchases, a_second=a_second)
        if told.statuses != {"303": len(purchases)}:
            raise RuntimeError(f"Not every press was answered with its order: {told.statuses}")
        return Round(len(purchases) / told.took, told.seconds)

    def send(self, purchases: Sequence[Purchase], *, a_second: float = 0) -> Presses:
        return self.send_requests([press(purchase) for purchase in purchases], a_second=a_second)

    def send_requests(self, requests: Sequence[bytes], *, a_second: float = 0) -> Presses:
        file = FOLDER / f"presses-{os.getpid()}.pickle"
        file.write_bytes(pickle.dumps(requests))
        command = [sys.executable, "-m", "tests.tools.bench.load", str(file)]
        command += ["--ports", *map(str, self.ports), f"--connections={self.connections}"]
        command += [f"--a-second={a_second}"]
        try:
            ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE)
        finally:
            file.unlink()
        return Presses(**json.loads(ran.stdout))
