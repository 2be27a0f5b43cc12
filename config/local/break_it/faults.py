"""Which orders a fault has hit, by what the wire, the bank, the shoppers and the database hold."""

import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import requests

from config.local.break_it.diary import Diary, Entry, Kind
from config.local.break_it.scenes import POSTGRES, Scene
from config.local.crowd.comparison import Evidence
from config.local.crowd.orders import MadeOrder
from config.local.crowd.records import Charge, Press, charges_in
from config.local.postgres_proxy import PostgresProxy

CUT = "connection cut after COMMIT"
SILENT = "the bank charged and did not answer"

SHOPPER = re.compile(rb"shopper-[0-9a-f]{4}-\d+@example\.com")

# So many of the last ones are looked at.
NEWEST = 6

# A call that is not answered has charged by then. What is charged later was charged when the
# customer approved it at their bank.
CHARGES_WITHIN_SECONDS = 2.0

# A process that was killed is up again after so long, mostly.
AGAIN_SECONDS = 1.0

Span = tuple[float, float]


@dataclass(frozen=True)
class Hit:
    """A fault that hit exactly this purchase."""

    at: float
    words: str
    purchase: str


@dataclass(frozen=True)
class Fault:
    at: float
    words: str
    is_sure: bool  # it hit these purchases; otherwise they were at work when it came
    purchases: list[str]  # the newest first


def hits_of(scene: Scene, wire: PostgresProxy | None, orders: Sequence[MadeOrder]) -> list[Hit]:
    return sorted([*_cut(scene, wire), *_not_answered(scene, orders)], key=lambda hit: hit.at)


def _cut(scene: Scene, wire: PostgresProxy | None) -> Iterator[Hit]:
    for cut in wire.cuts if wire else []:
        for name in SHOPPER.findall(cut.said)[-1:]:
            if scene.is_ours(purchase := name.decode()):
                yield Hit(cut.at, CUT, purchase)


def _not_answered(scene: Scene, orders: Sequence[MadeOrder]) -> Iterator[Hit]:
    reply = requests.get(f"{scene.sandbox_url}/sandbox/faults", timeout=5)
    silent = [one for one in reply.json()["latest"] if one["fault"] == "silent"]
    if not silent:
        return
    purchases = {order.number: order.purchase for order in orders}
    for charge in charges_in(scene.ledger):
        if charge.order in purchases and any(
            f"/{charge.payment}/" in one["path"]
            and 0 <= charge.at - one["at"] <= CHARGES_WITHIN_SECONDS
            for one in silent
        ):
            yield Hit(charge.at, SILENT, purchases[charge.order])


def faults_of(scene: Scene, diary: Diary, hits: Sequence[Hit], evidence: Evidence) -> list[Fault]:
    """The newest first. Hits of one kind are one fault."""
    found = []
    for words in (CUT, SILENT):
        if same := [hit for hit in hits if hit.words == words]:
            purchases = list(dict.fromkeys(hit.purchase for hit in reversed(same)))
            found.append(Fault(same[-1].at, words, True, purchases))
    works = _works_in(scene, evidence)
    for entry in _of_this_workflow(scene, diary, Kind.KILL)[-NEWEST:]:
        met = [work.purchase for work in works if work.was_met_by(entry)]
        found.append(Fault(entry.at, entry.words, False, met[::-1]))
    return sorted(found, key=lambda fault: fault.at, reverse=True)[:NEWEST]


def _works_in(scene: Scene, evidence: Evidence) -> list["Work"]:
    presses: dict[str, list[Press]] = {}
    for press in evidence.log.presses:
        presses.setdefault(press.purchase, []).append(press)
    orders, charges = evidence.by_purchase(), evidence.by_order()
    return [
        Work.on(
            scene,
            pressed,
            made := orders.get(purchase, []),
            [charge for order in made for charge in charges[order.number]],
        )
        for purchase, pressed in presses.items()
    ]


@dataclass(frozen=True)
class Work:
    """When something was done for a purchase."""

    scene: Scene
    purchase: str
    presses: list[Span]
    orders: list[Span]  # from placing until paid or failed

    @classmethod
    def on(
        cls,
        scene: Scene,
        presses: Sequence[Press],
        orders: Sequence[MadeOrder],
        charges: Sequence[Charge],
    ) -> "Work":
        spans = []
        for order in orders:
            ends = [charge.at for charge in charges if charge.order == order.number]
            ends += [time.time()] if scene.is_moving(order) else []
            until = max([order.changed_at, *ends])
            # Other workflows do not write down when they placed it; each press places one there.
            pressed = [press.at for press in presses if press.at <= until]
            spans.append((order.placed_at or max(pressed, default=until), until))
        pressed_at = [(press.at, press.at + press.seconds) for press in presses]
        return cls(scene, presses[0].purchase, pressed_at, spans)

    def was_met_by(self, entry: Entry) -> bool:
        """Whether it was at work when a part was ended, or soon before that was started again."""
        is_web = any(child.name == entry.about for child in self.scene.roles.get("web", []))
        spans = self.presses if is_web else self.orders
        spans = self.presses + self.orders if entry.about == POSTGRES else spans
        after = AGAIN_SECONDS if entry.kind is Kind.START else 0
        return any(began <= entry.at <= ended + after for began, ended in spans)

    def drawn(self, diary: Diary) -> list[Entry]:
        """What was broken meanwhile, and what was started again."""
        entries = _of_this_workflow(self.scene, diary, Kind.KILL, Kind.START)
        return [entry for entry in entries if self.was_met_by(entry)]


def _of_this_workflow(scene: Scene, diary: Diary, *kinds: Kind) -> list[Entry]:
    return [entry for entry in diary.entries(kinds) if scene.depends_on(entry.about)]
