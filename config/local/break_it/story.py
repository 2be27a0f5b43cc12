"""One purchase as it was written down: who did what to it, where, and when."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

import psycopg

from config.local.break_it.diary import Diary, Entry, Kind
from config.local.break_it.faults import Hit, Work
from config.local.break_it.scenes import Scene
from config.local.break_it.words import (
    ASKS,
    SAYS,
    WITHOUT_ANSWER,
    answer_in_words,
    price_in_words,
)
from config.local.crowd.records import Charge, Press, charges_in, lines_of

SHOPPER, DATABASE, QUEUE, CALLS, BANK = range(5)
LANES = ("Shopper", "Database", "Queue", "Calls to the bank", "Bank's ledger")

EVENTS = """
    SELECT e.reason, greatest(e.created_at, o.placed_at) FROM orders_orderevent e
    JOIN orders_order o ON o.id = e.order_id WHERE o.number = %s ORDER BY e.id
"""
ATTEMPTS = """
    SELECT a.step, a.outcome, a.started_at, a.finished_at FROM payments_paymentattempt a
    JOIN payments_payment p ON p.id = a.payment_id JOIN orders_order o ON o.id = p.order_id
    WHERE o.number = %s
"""
OF_ANOTHER_WORKFLOW = """
    SELECT 'order ' || design || '-' || id, created_at FROM design_order
    WHERE design || '-' || id = %s
"""

# Kinds of entries in the bank's ledger, and which call each answers.
ASKED = {
    "opened": "asked the bank to open a payment, and it did",
    "charged": "asked the bank to charge, and it did",
    "declined": "asked the bank to charge, and it declined the card",
}
DELIVERED = {
    "sent": "message sent",
    "deduplicated": "message dropped, it was sent before",
    "received": "message received",
    "lapsed": "message shown again",
    "hidden": "message put off",
    "delivered twice": "deleted, and delivered again by the fault",
    "deleted": "message deleted",
    "moved": "message became a dead letter",
}


@dataclass(frozen=True, order=True)
class Mark:
    at: float  # seconds since 1970
    until: float
    lane: int
    words: str
    ended: str = ""  # what is said of its end; empty: it took no time
    is_lost: bool = False  # nobody was told

    def lines(self) -> Iterator[tuple[float, str]]:
        """Beginning and end, each at its own time."""
        yield self.at, f"{LANES[self.lane]}: {self.words}"
        if self.ended:
            yield self.until, f"{LANES[self.lane]}: {self.ended}"


@dataclass(frozen=True)
class Story:
    purchase: str
    numbers: list[str]
    marks: list[Mark]
    faults: list[Entry]  # while it was at work; and what was started again
    notes: list[str]  # what is not recorded

    def lines(self) -> list[tuple[float, str]]:
        """They are in the order of their times."""
        lines = [line for mark in self.marks for line in mark.lines()]
        lines += [(entry.at, entry.words) for entry in self.faults]
        return sorted(lines, key=lambda line: line[0])


def story_of(scene: Scene, diary: Diary, hits: Sequence[Hit], purchase: str) -> Story | None:
    """All that is written down about a purchase; None where nobody has heard of it."""
    presses = [press for press in scene.log.so_far().presses if press.purchase == purchase]
    if not presses:
        return None
    orders = [order for order in scene.orders() if order.purchase == purchase]
    numbers = [order.number for order in orders]
    charges = [charge for charge in charges_in(scene.ledger) if charge.order in numbers]
    marks = [_pressed(press) for press in presses]
    for number in numbers:
        marks += _in_the_database(scene, number)
    marks += [_charged(charge) for charge in charges if charge.at >= scene.began]
    marks += _in_the_queue(scene, set(numbers))
    marks += () if scene.is_shop else _called(scene, set(numbers))
    return Story(
        purchase,
        numbers,
        sorted(marks),
        _faults(diary, hits, Work.on(scene, presses, orders, charges)),
        list(_not_recorded(scene)),
    )


def _pressed(press: Press) -> Mark:
    until = press.at + press.seconds
    told = answer_in_words(press.status)
    return Mark(press.at, until, SHOPPER, "pressed", told, is_lost=press.status == 0)


def _in_the_database(scene: Scene, number: str) -> Iterator[Mark]:
    with psycopg.connect(scene.database, connect_timeout=5) as connection:
        events = connection.execute(EVENTS if scene.is_shop else OF_ANOTHER_WORKFLOW, [number])
        for words, at in events.fetchall():
            yield Mark(at.timestamp(), at.timestamp(), DATABASE, f"committed: {words}")
        if not scene.is_shop:
            return
        for step, outcome, began, ended in connection.execute(ATTEMPTS, [number]).fetchall():
            until = (ended or began).timestamp()
            is_lost = outcome in WITHOUT_ANSWER
            told = SAYS.get(outcome, str(outcome))
            told = told if is_lost else f"the bank answers: {told}"
            yield Mark(began.timestamp(), until, CALLS, ASKS.get(step, str(step)), told, is_lost)


def _called(scene: Scene, numbers: set[str]) -> Iterator[Mark]:
    """The calls of a workflow that writes none down, as far as the bank did."""
    for entry in lines_of(scene.ledger):
        if entry.get("order") in numbers and entry["kind"] in ASKED:
            at = datetime.fromisoformat(entry["at"]).timestamp()
            yield Mark(at, at, CALLS, ASKED[entry["kind"]])


def _charged(charge: Charge) -> Mark:
    return Mark(charge.at, charge.at, BANK, f"charged {price_in_words(charge)}")


def _in_the_queue(scene: Scene, numbers: set[str]) -> Iterator[Mark]:
    journal = scene.journal
    if not (scene.queue and journal and journal.exists()):
        return
    messages: set[str] = set()
    for entry in lines_of(journal):
        message = str(entry.get("message", ""))
        if entry["did"] == "sent" and _order_in(entry["body"]) in numbers:
            messages.add(message)
        if message in messages and entry["did"] in DELIVERED:
            yield Mark(entry["at"], entry["at"], QUEUE, DELIVERED[entry["did"]])


def _order_in(body: str) -> str:
    try:
        content = json.loads(body)
    except ValueError:
        return ""
    return str(content.get("order") or content.get("number") or "")


def _faults(diary: Diary, hits: Sequence[Hit], work: Work) -> list[Entry]:
    hit = [Entry(hit.at, Kind.KILL, hit.words) for hit in hits if hit.purchase == work.purchase]
    return sorted([*work.drawn(diary), *hit], key=lambda entry: entry.at)


def _not_recorded(scene: Scene) -> Iterator[str]:
    if not scene.queue:
        yield "This workflow has no queue, so that row stays empty."
    if not scene.is_shop:
        yield (
            "This workflow does not write down its calls to the bank. Those in the row are the "
            "ones that the bank has written down, at the time when it did what it was asked for."
        )
