"""How soon a death is made good when nothing else is in the way: no fault but the deaths, a gateway
that takes its time, and shoppers at a steady pace."""

import os
import signal
import socket
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass

import psycopg

from config.local.crowd.orders import MadeOrder
from config.local.designs.stand_in import Addresses
from config.local.processes import children_of
from tests.tools.drill.chaos import Fleet, Supervised

CHILD, MACHINE = "a killed child", "a killed machine"

# Promised. What the gateway takes, and what it refuses while the dead process's call is still under
# way there, is part of it.
WITHIN_SECONDS = {CHILD: 2.0, MACHINE: 35.0}

# So often each must have had an order in hand, or the run proves nothing about it.
HITS_AT_LEAST = {CHILD: 20, MACHINE: 3}

# Of each call. Without it hardly any process would be killed with an order in hand.
GATEWAY_SECONDS = 0.35

# Fewer in a second than two slow cores serve: no order should wait for another.
SHOPPERS = 100
SHOPPING_SECONDS = 56.0

# Children first, then whole machines, with time for one to be started again in between.
CHILDREN_FROM, CHILDREN_EVERY, CHILDREN_TIMES = 2.0, 1.3, 25
MACHINES_FROM, MACHINES_EVERY, MACHINES_TIMES = 36.0, 3.0, 6

LOOK_FOR_SECONDS = 1.0

IN_HAND = """SELECT o.number, p.lease_owner FROM payments_payment p
             JOIN orders_order o ON o.id = p.order_id
             WHERE p.lease_owner <> '' AND p.lease_until > now() AND o.status = 'placed'"""


NEVER = float("inf")


@dataclass(frozen=True)
class Death:
    kind: str
    at: float  # seconds since 1970


class Deaths:
    def __init__(self, fleet: Fleet, at: Addresses) -> None:
        self._fleet = fleet
        self._at = at
        self.in_hand: list[tuple[str, Death]] = []  # order numbers, each with whoever had it

    def run(self, tend: Callable[[], None]) -> None:
        """Bounded in time. `tend` starts again what was killed."""
        plan = [(CHILDREN_FROM + n * CHILDREN_EVERY, CHILD) for n in range(CHILDREN_TIMES)]
        plan += [(MACHINES_FROM + n * MACHINES_EVERY, MACHINE) for n in range(MACHINES_TIMES)]
        began = time.monotonic()
        for at_seconds, kind in plan:
            while time.monotonic() - began < at_seconds:
                tend()
                time.sleep(0.02)
            self._strike(kind, tend)

    def _strike(self, kind: str, tend: Callable[[], None]) -> None:
        until = time.monotonic() + LOOK_FOR_SECONDS
        while time.monotonic() < until:
            if victim := self._victim(kind):
                member, pid, orders = victim
                death = Death(kind, time.time())
                if kind == CHILD:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                else:
                    self._fleet.kill(member)
                self.in_hand += [(number, death) for number in orders]
                return
            tend()
            time.sleep(0.02)

    def _victim(self, kind: str) -> tuple[Supervised, int, list[str]] | None:
        """Whoever has the most orders in hand: the machine, one of its children, and the orders."""
        in_hand: dict[int, list[str]] = defaultdict(list)
        with psycopg.connect(self._at.database, connect_timeout=5) as connection:
            for number, owner in connection.execute(IN_HAND):
                host, _, pid = owner.rpartition(":")
                if host == socket.gethostname():
                    in_hand[int(pid)].append(number)
        found = []
        for member in self._fleet.members:
            if member.part.role != "worker" or not member.is_up:
                continue
            children = children_of(member.child.pid)
            whole = [number for child in children for number in in_hand[child]]
            for child in children:
                orders = in_hand[child] if kind == CHILD else whole
                found.append((len(orders), member, child, orders))
        most = max(found, key=lambda candidate: candidate[0], default=None)
        return most[1:] if most and most[0] else None

    def seconds(self, orders: Iterable[MadeOrder]) -> dict[str, list[tuple[str, float]]]:
        """Kind of death → (order number, seconds from the death to its outcome). Where several had
        an order in hand, one after the other, from the last of them."""
        found: dict[str, list[tuple[str, float]]] = {CHILD: [], MACHINE: []}
        last = {number: (death, took) for number, death, took in self._left_to_others(orders)}
        for number, (death, took) in last.items():
            found[death.kind].append((number, took))
        return found

    def hits(self, orders: Iterable[MadeOrder]) -> Counter[str]:
        """How many deaths of each kind left an order to others."""
        deaths = {death for _, death, _ in self._left_to_others(orders)}
        return Counter(death.kind for death in deaths)

    def _left_to_others(self, orders: Iterable[MadeOrder]) -> Iterator[tuple[str, Death, float]]:
        """All but what was decided in the moment before the death."""
        decided = {
            order.number: order.paid_at or (order.changed_at if order.status != "placed" else NEVER)
            for order in orders
        }
        for number, death in self.in_hand:
            if (took := decided.get(number, NEVER) - death.at) > 0:
                yield number, death, took
