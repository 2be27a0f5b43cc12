"""The people behind the counter: clerks who send parcels and take returns in, and support staff who
cancel, refund and correct, all at once, at the same orders, pressing twice.

python -m tests.tools.drill.desks clerk JOURNALS SEED [GUARD]

The role `bookkeeper` reads the bank's statement, the file of DRILL_STATEMENT, into the shop.

Each is a process of its own that acts as the admin's pages do. What an act answered is written into
a journal outside of the shop. It ends when it is ended.
"""

import io
import json
import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import django

# How many orders are looked at: the newest, so that what is done to one collides.
POOL = 30

# All desks look at the same order for so long, most of the time. Their clocks may be wrong, but all
# processes of a machine agree on the one that nobody sets.
TOGETHER_SECONDS = 1.5

TRIES = 60
PAUSE_SECONDS = (0.02, 0.25)

# Whoever acts rests so many times as long, or a machine of two cores would do little else. Not
# for long where it was the database that was away.
RESTS = 2
LONGEST_REST_SECONDS = 5.0

# An act as it is pressed: under a key, once or more often. It answers the id of what it made.
Act = Callable[[str], int]


class Desk:
    def __init__(self, role: str, journals: Path, seed: str, name: str = "") -> None:
        self.role = role
        self.name = name or f"{role}-{os.getpid()}"
        self.chance = random.Random(f"{seed}/{self.name}")
        self._journal = journals / f"{self.name}.jsonl"
        self._lock = threading.Lock()
        self._count = 0

    def work(self) -> None:
        for rest in rests_after(self.act_once):
            time.sleep(self.chance.uniform(*PAUSE_SECONDS) + rest)

    def act_once(self) -> None:
        from tests.tools.drill.desk_acts import acts_of

        found = self._with_patience(lambda: acts_of(self.role, self._look(), self.chance))
        if not found:
            return
        name, number, act = found
        self._count += 1
        key = f"{self.name}-{self._count}-{self.chance.getrandbits(60):x}"
        keys = [key] * self.chance.choice([1, 2, 2, 3])
        if self.chance.random() < 0.3:
            keys.append(f"{key}-too")  # somebody else opened the same page
        threads = [
            threading.Thread(target=self._press, args=[name, number, partial(act, each), each])
            for each in keys
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _look(self) -> Any:
        from checkout.orders.models import Order
        from checkout.orders.states import PAID_FOR, SENDABLE

        wanted = {*PAID_FOR, *SENDABLE}
        pool = list(Order.objects.filter(status__in=wanted).order_by("-id")[:POOL])
        if not pool:
            return None
        if self.chance.random() < 0.3:
            return self.chance.choice(pool)
        return random.Random(int(time.monotonic() / TOGETHER_SECONDS)).choice(pool)

    def _press(self, name: str, number: str, act: Callable[[], int], key: str) -> None:
        from django.db import IntegrityError

        from checkout.orders.action_impossible import ActionImpossible

        try:
            made = self._with_patience(act)
        except ActionImpossible as error:
            self._write(act=name, order=number, key=key, refused=str(error)[:60])
        except IntegrityError as error:  # without a guard, or by a fault of the shop
            self._write(act=name, order=number, key=key, failed=str(error)[:200])
        else:
            if made is not None:
                self._write(act=name, order=number, key=key, made=made)
        finally:
            from django.db import connections

            connections.close_all()

    def _with_patience(self, ask: Callable[[], Any]) -> Any:
        """Over a lost connection, the same again: whoever pressed got no answer."""
        from django.db import connection

        from checkout.runtime.database import CONNECTION_ERRORS

        for _ in range(TRIES):
            try:
                return ask()
            except CONNECTION_ERRORS:
                connection.close()
                time.sleep(0.25)
        return None

    def _write(self, **line: object) -> None:
        entry = {"at": time.time(), "role": self.role} | line
        with self._lock, self._journal.open("a") as journal:
            journal.write(json.dumps(entry) + "\n")


def keep_books(statement: Path) -> None:
    """Read all of the statement in, again and again, as a bank's export has the whole day."""
    for rest in rests_after(partial(_read_in, statement)):
        time.sleep(random.uniform(0.5, 1.5) + rest)


def _read_in(statement: Path) -> None:
    from django.core.management import call_command

    from checkout.runtime.database import DATABASE_ERRORS

    if statement.read_text().count("\n") < 2:
        return  # its headings, and nothing that came
    try:
        call_command("record_transfers", statement, by="bookkeeper", stdout=io.StringIO())
    except DATABASE_ERRORS:
        from django.db import connection

        connection.close()


def rests_after(act: Callable[[], None]) -> Iterator[float]:
    """Do it again and again; for how many seconds to rest after each time."""
    while True:
        began = time.monotonic()
        act()
        yield min(LONGEST_REST_SECONDS, RESTS * (time.monotonic() - began))


def main() -> None:
    role, journals, seed, *guards = sys.argv[1:]
    django.setup()
    if guards and guards[0]:
        from tests.tools.drill.without import GUARDS

        GUARDS[guards[0]]()
    if role == "bookkeeper":
        keep_books(Path(os.environ["DRILL_STATEMENT"]))
    Desk(role, Path(journals), seed).work()


if __name__ == "__main__":
    main()
