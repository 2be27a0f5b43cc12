"""Many requests with one key in the same moment, over two web processes."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.support.api_caller import PURCHASE, Answer, Caller, new_key

AT_ONCE = 16

QUOTE = {name: PURCHASE[name] for name in ("lines", "country")}


@dataclass
class Tally:
    """Over all rounds: answers by their status, and orders told of by each round."""

    statuses: Counter[int] = field(default_factory=Counter)
    told: list[set[str]] = field(default_factory=list)
    replays: int = 0

    def add(self, answers: list[Answer]) -> None:
        self.statuses.update(answer.status for answer in answers)
        self.told.append({answer.json["reference"] for answer in answers if answer.status == 201})
        self.replays += sum("Idempotent-Replayed" in answer.headers for answer in answers)


def send_at_once(caller: Caller, addresses: list[str], *, rounds: int) -> Tally:
    """Each round is a purchase of its own, sent by sixteen connections."""
    together = threading.Barrier(AT_ONCE)
    tally = Tally()

    def send(caller: Caller, key: str) -> Answer:
        together.wait()
        return caller.place(key, PURCHASE)

    for address in addresses:
        # What a process loads for its first total would be loaded while a key is held.
        assert caller.at(address).post("/api/v1/quotes/", QUOTE).status == 200

    with ThreadPoolExecutor(AT_ONCE) as pool:
        callers = [caller.at(addresses[n % len(addresses)]) for n in range(AT_ONCE)]
        for _ in range(rounds):
            tally.add(list(pool.map(send, callers, [new_key()] * AT_ONCE)))
    return tally
