"""One order as a picture: what happened to it where, on a line of time."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from html import escape

import psycopg

from config.local.break_it.diary import Diary, Entry, Kind
from config.local.break_it.scenes import Scene
from config.local.crowd.records import ACKNOWLEDGED, charges_in, lines_of

SHOPPER, DATABASE, QUEUE, CALLS, BANK = range(5)
LANES = ("Shopper", "Database", "Queue", "Calls to the bank", "Bank's ledger")

# The measures of the drawing, in its own units.
WIDTH, LEFT, RIGHT, TOP, LANE_HEIGHT = 960, 150, 20, 58, 44
# Where the words above it stand, in turn, so that kills in a row do not hide each other.
WORDS_AT = (12, 27, 42, 57)

# How long before and after an order a kill is still drawn.
AROUND_SECONDS = 1.0
SHORTEST_SECONDS = 1.0

OF_THE_SHOP = """
    SELECT 'committed: ' || e.reason, e.created_at, e.created_at, false
    FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id WHERE o.number = %(number)s
    UNION ALL
    SELECT CASE a.step WHEN 'open' THEN 'open the payment' WHEN 'confirm' THEN 'charge'
               WHEN 'retrieve' THEN 'ask what became of it' ELSE a.step END
           || ': ' || CASE WHEN a.outcome = '' THEN 'no answer' ELSE a.outcome END,
           a.started_at, coalesce(a.finished_at, a.started_at), true
    FROM payments_paymentattempt a JOIN payments_payment p ON p.id = a.payment_id
    JOIN orders_order o ON o.id = p.order_id WHERE o.number = %(number)s
"""
OF_A_STAND_IN = """
    SELECT 'committed: order ' || design || '-' || id, created_at, created_at, false
    FROM design_order WHERE design || '-' || id = %(number)s
"""

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
    is_lost: bool = False  # nobody was told


@dataclass(frozen=True)
class Story:
    purchase: str
    numbers: list[str]
    marks: list[Mark]
    kills: list[Entry]  # and what was started again


def story_of(scene: Scene, diary: Diary, purchase: str) -> Story | None:
    """All that is written down about a purchase; None where nobody has heard of it."""
    marks = list(_presses(scene, purchase))
    if not marks:
        return None
    numbers = [order.number for order in scene.orders() if order.purchase == purchase]
    for number in numbers:
        marks += _in_the_database(scene, number)
        marks += _charges(scene, number)
    marks += _in_the_queue(scene, set(numbers))
    marks.sort()
    first, last = marks[0].at, max(mark.until for mark in marks)
    kills = [
        entry
        for entry in diary.entries([Kind.KILL, Kind.START])
        if first - AROUND_SECONDS <= entry.at <= last + AROUND_SECONDS
    ]
    return Story(purchase, numbers, marks, kills)


def _presses(scene: Scene, purchase: str) -> Iterator[Mark]:
    for press in scene.log.so_far().presses:
        if press.purchase == purchase:
            answer = {ACKNOWLEDGED: "told the order's address", 0: "no answer came"}
            words = answer.get(press.status, f"answered {press.status}")
            until = press.at + press.seconds
            yield Mark(press.at, until, SHOPPER, f"press: {words}", is_lost=press.status == 0)


def _in_the_database(scene: Scene, number: str) -> Iterator[Mark]:
    query = OF_THE_SHOP if scene.is_shop else OF_A_STAND_IN
    with psycopg.connect(scene.database, connect_timeout=5) as connection:
        rows = connection.execute(query, {"number": number}).fetchall()
    for words, began, ended, is_call in rows:
        lane = CALLS if is_call else DATABASE
        yield Mark(began.timestamp(), ended.timestamp(), lane, words, words.endswith("no answer"))


def _charges(scene: Scene, number: str) -> Iterator[Mark]:
    for charge in charges_in(scene.ledger):
        if charge.order == number and charge.at >= scene.began:
            words = f"charged {charge.amount_minor / 100:.2f} {charge.currency}"
            yield Mark(charge.at, charge.at, BANK, words)


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


def as_html(story: Story) -> str:
    """The drawing, and the same as a list for whoever cannot see it."""
    orders = " and ".join(story.numbers) or "no order yet"
    title = f"Purchase of {story.purchase}: {orders}"
    rows = sorted(
        [(mark.at, f"{LANES[mark.lane]}: {mark.words}") for mark in story.marks]
        + [(entry.at, entry.words) for entry in story.kills]
    )
    first = rows[0][0] if rows else 0.0
    items = "".join(
        f'<li><span class="when">{at - first:+.2f} s</span> {escape(words)}</li>'
        for at, words in rows
    )
    return (
        f"<h3>{escape(title)}</h3>"
        '<div class="drawing" tabindex="0" role="region" aria-label="Drawing, scrollable">'
        f"{_drawing(story, title)}</div>"
        f'<ol class="story">{items}</ol>'
    )


def _drawing(story: Story, title: str) -> str:
    first = min(mark.at for mark in story.marks)
    last = max(mark.until for mark in story.marks)
    scale = (WIDTH - LEFT - RIGHT) / max(SHORTEST_SECONDS, last - first)

    def x(at: float) -> float:
        return max(LEFT, min(WIDTH - RIGHT, LEFT + (at - first) * scale))

    height = TOP + LANE_HEIGHT * len(LANES) + 24
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        *_lanes(),
        *_ticks(last - first, scale, height),
        *(_drawn(mark, x(mark.at), x(mark.until)) for mark in story.marks),
    ]
    parts += (
        _interruption(entry, x(entry.at), WORDS_AT[place % len(WORDS_AT)], height)
        for place, entry in enumerate(story.kills)
    )
    return "".join([*parts, "</svg>"])


def _interruption(entry: Entry, x: float, y: int, height: int) -> str:
    """A line through all lanes."""
    sign, kind = ("✕ ", "kill") if entry.kind is Kind.KILL else ("", "start")
    side = "end" if x > WIDTH / 2 else "start"
    return (
        f'<g class="{kind}"><line x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{height - 22}"/>'
        f'<text x="{x + (4 if side == "start" else -4):.1f}" y="{y}" text-anchor="{side}">'
        f"{sign}{escape(entry.words)}</text></g>"
    )


def _lanes() -> Iterable[str]:
    for lane, name in enumerate(LANES):
        y = _middle(lane)
        yield f'<line class="lane" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>'
        yield f'<text class="name" x="0" y="{y + 5}">{escape(name)}</text>'


def _ticks(seconds: float, scale: float, height: int) -> Iterable[str]:
    """A time below the drawing at about six places."""
    step = next((each for each in (0.2, 0.5, 1, 2, 5, 10, 20) if seconds / each <= 7), 60.0)
    for number in range(int(max(seconds, SHORTEST_SECONDS) / step) + 1):
        x = LEFT + number * step * scale
        yield f'<text class="tick" x="{x:.1f}" y="{height - 6}">{number * step:g} s</text>'


def _drawn(mark: Mark, began: float, ended: float) -> str:
    y = _middle(mark.lane)
    kind = f"mark lane-{mark.lane}" + (" lost" if mark.is_lost else "")
    length = f"{mark.until - mark.at:.2f} s" if mark.until > mark.at else ""
    title = f"<title>{escape(' '.join(filter(None, [mark.words, length])))}</title>"
    if ended - began < 8:
        return f'<circle class="{kind}" cx="{began:.1f}" cy="{y}" r="6">{title}</circle>'
    return (
        f'<rect class="{kind}" x="{began:.1f}" y="{y - 6}" width="{ended - began:.1f}" '
        f'height="12" rx="6">{title}</rect>'
    )


def _middle(lane: int) -> int:
    return TOP + lane * LANE_HEIGHT + LANE_HEIGHT // 2


def when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")  # noqa: DTZ006 - the reader's own clock
