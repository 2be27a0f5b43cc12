"""What one worker process has in flight, shared by its receiving loop, its threads and its keeper.

The parent finds a copy of this after the process was killed.
"""

import json
import threading
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from checkout.orders.outbox.messages import FutureVersion, PoisonMessage, decode
from checkout.orders.queue.sqs import BATCH, Incoming
from checkout.runtime.shared_memory import SharedRecords


@dataclass(frozen=True, kw_only=True)
class Held:
    """One message in flight. Every attempt at it in this process has the same lease token."""

    message: Incoming
    place: int
    lease_token: uuid.UUID = field(default_factory=uuid.uuid4)
    since: float = field(default_factory=time.monotonic)


class InFlight:
    """There is a record for each message, and one for the receive that is under way."""

    def __init__(self, threads: int, records: SharedRecords | None = None) -> None:
        self._records = records or SharedRecords(records_for(threads))
        self._receive_place = threads
        self._free_places = list(range(threads))
        self._lock = threading.Lock()
        self._held: dict[int, Held] = {}  # by place: a message may come a second time
        self._done: list[str] = []  # receipt handles to delete
        self.wake = threading.Event()
        self.full = threading.Event()  # a batch to delete, or the end
        self.attempt_id = uuid.uuid4().hex

    def receive_begins(self) -> None:
        content = {"attempt_id": self.attempt_id}
        self._records.write(self._receive_place, json.dumps(content).encode())

    def receive_ended(self) -> None:
        """The next receive is a new one. Until now it repeats the last, whose reply was lost."""
        self.attempt_id = uuid.uuid4().hex
        self._records.clear(self._receive_place)

    def take(self, message: Incoming) -> Held:
        with self._lock:
            held = Held(message=message, place=self._free_places.pop())
            self._records.write(held.place, json.dumps({"message": _plain(message)}).encode())
            self._held[held.place] = held
            return held

    def let_go(self, held: Held, *, delete: bool) -> None:
        with self._lock:
            self._held.pop(held.place)
            self._records.clear(held.place)
            self._free_places.append(held.place)
            if delete:
                self._done.append(held.message.receipt_handle)
            if len(self._done) >= BATCH:
                self.full.set()
        if delete:
            self.wake.set()

    def held(self, *, for_seconds: float = 0.0) -> list[Held]:
        """All messages, or those that have been held for at least so long."""
        until = time.monotonic() - for_seconds
        with self._lock:
            return [held for held in self._held.values() if held.since <= until]

    def take_done(self) -> list[str]:
        with self._lock:
            batch, self._done = self._done[:BATCH], self._done[BATCH:]
            if len(self._done) < BATCH:
                self.full.clear()
            if self._done:
                self.wake.set()
            return batch

    def wake_keeper(self) -> None:
        self.full.set()
        self.wake.set()


def records_for(threads: int) -> int:
    return threads + 1


def left_behind(records: Mapping[int, bytes]) -> tuple[list[Incoming], str]:
    """What a process that died had in flight, as far as it could be read: its messages, and the
    attempt id of the receive that may have been under way."""
    contents = list(_readable(records.values()))
    messages = [Incoming(**content["message"]) for content in contents if "message" in content]
    return messages, next((c["attempt_id"] for c in contents if "attempt_id" in c), "")


def _plain(message: Incoming) -> dict[str, object]:
    return {
        "id": message.id,
        "body": message.body,
        "receipt_handle": message.receipt_handle,
        "receive_count": message.receive_count,
    }


def order_numbers(bodies: Iterable[str]) -> list[str]:
    """The numbers of the orders that these messages are about, as far as they can be read."""
    numbers = []
    for body in bodies:
        try:
            numbers.append(decode(body).order.number)
        except (PoisonMessage, FutureVersion):
            continue
    return numbers


def by_order(held: Iterable[Held]) -> list[list[Held]]:
    """The messages of each order in the order in which they came; what cannot be read is alone."""
    orders: dict[str, list[Held]] = {}
    for one in held:
        order = "".join(order_numbers([one.message.body])) or one.message.id
        orders.setdefault(order, []).append(one)
    return list(orders.values())


def _readable(records: Iterable[bytes]) -> Iterator[dict[str, Any]]:
    for record in records:
        try:
            yield json.loads(record)
        except ValueError:  # the process was killed while it wrote
            continue
