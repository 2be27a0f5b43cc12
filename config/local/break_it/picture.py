"""One purchase as a picture: what happened to it where, from left to right."""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from html import escape
from itertools import pairwise
from math import sqrt

from config.local.break_it.diary import Entry, Kind
from config.local.break_it.story import LANES, Mark, Story

# The measures of the drawing, in its own units.
WIDTH, SIDE, LANE_HEIGHT, TOP, BOTTOM = 960, 16, 52, 8, 30
# Where the words of faults stand above the lanes, in turn, so that none hides the next.
ROWS_OF_WORDS, ROW_HEIGHT = 4, 17

# A time is written below the drawing where there is so much room.
TICK_WIDTH = 70

# So narrow a bar would not be seen.
NARROWEST = 8

LEGEND = (
    ('<circle class="mark" cx="12" cy="8" r="6"/>', "a moment"),
    (
        '<rect class="mark" x="1" y="2" width="22" height="12" rx="6"/>',
        "from a beginning to its end",
    ),
    ('<circle class="mark lost" cx="12" cy="8" r="6"/>', "without an answer"),
    ('<g class="kill"><line x1="12" x2="12" y1="0" y2="16"/></g>', "something was broken"),
    ('<g class="start"><line x1="12" x2="12" y1="0" y2="16"/></g>', "it was started again"),
)
NOT_TO_SCALE = (
    "Time runs from left to right and is not drawn to scale: short steps are wider than they are."
)


def as_html(story: Story) -> str:
    """The drawing, and the same as a list for whoever cannot see it."""
    orders = " and ".join(story.numbers) or "no order yet"
    title = f"Purchase of {story.purchase}: {orders}"
    lines = story.lines()
    first = lines[0][0] if lines else 0.0
    items = "".join(
        f'<li><span class="when">{at - first:+.2f} s</span> {escape(words)}</li>'
        for at, words in lines
    )
    return (
        f"<h3>{escape(title)}</h3>"
        '<div class="drawing" tabindex="0" role="region" aria-label="Drawing, scrollable">'
        f"{_drawing(story, title)}</div>{_legend()}"
        + "".join(f"<p>{escape(note)}</p>" for note in [NOT_TO_SCALE, *story.notes])
        + f'<ol class="story">{items}</ol>'
    )


def _legend() -> str:
    items = "".join(
        f'<li><svg viewBox="0 0 24 16" aria-hidden="true">{sign}</svg> {words}</li>'
        for sign, words in LEGEND
    )
    return f'<ul class="legend">{items}</ul>'


def _drawing(story: Story, title: str) -> str:
    times = sorted({at for mark in story.marks for at in (mark.at, mark.until)})
    times = sorted({*times, *(entry.at for entry in story.faults)})
    x = places_of(times)
    above = TOP + ROW_HEIGHT * min(len(story.faults), ROWS_OF_WORDS)
    height = above + LANE_HEIGHT * len(LANES) + BOTTOM
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
        *_lanes(above),
        *_ticks(times, x, height),
        *(_interruption(number, entry, x, height) for number, entry in enumerate(story.faults)),
        *_names(above),
        *(_drawn(mark, x, _middle(mark.lane, above)) for mark in story.marks),
        "</svg>",
    ]
    return "".join(parts)


def places_of(times: list[float]) -> Callable[[float], float]:
    """Where each of these moments is drawn; they are sorted. A pause is as wide as the root of its
    seconds, so a long one leaves room for quick steps."""
    reached = [0.0]
    for before, after in pairwise(times):
        reached.append(reached[-1] + sqrt(after - before))
    scale = (WIDTH - 2 * SIDE) / (reached[-1] or 1)

    def x(at: float) -> float:
        return SIDE + reached[min(bisect_left(times, at), len(times) - 1)] * scale

    return x


def _interruption(number: int, entry: Entry, x: Callable[[float], float], height: int) -> str:
    """A line through all lanes."""
    sign, kind = ("✕ ", "kill") if entry.kind is Kind.KILL else ("", "start")
    place, y = x(entry.at), TOP + 8 + ROW_HEIGHT * (number % ROWS_OF_WORDS)
    side, step = ("end", -4) if place > WIDTH / 2 else ("start", 4)
    return (
        f'<g class="{kind}"><line x1="{place:.1f}" x2="{place:.1f}" y1="{y - 8}" '
        f'y2="{height - BOTTOM}"/><text x="{place + step:.1f}" y="{y}" text-anchor="{side}">'
        f"{sign}{escape(entry.words)}</text></g>"
    )


def _lanes(above: int) -> Iterable[str]:
    for lane in range(len(LANES)):
        y = _middle(lane, above)
        yield f'<line class="lane" x1="{SIDE}" x2="{WIDTH - SIDE}" y1="{y}" y2="{y}"/>'


def _names(above: int) -> Iterable[str]:
    for lane, name in enumerate(LANES):
        yield f'<text class="name" x="0" y="{_middle(lane, above) - 14}">{escape(name)}</text>'


def _ticks(times: list[float], x: Callable[[float], float], height: int) -> Iterator[str]:
    """How long after the beginning a moment was, below as many moments as have room for it."""
    taken = -float(TICK_WIDTH)
    for at in times:
        if (place := x(at)) - taken >= TICK_WIDTH:
            taken = place
            words = f"{at - times[0]:.2f} s"
            edge = " first" if at == times[0] else ""
            edge = " last" if place > WIDTH - TICK_WIDTH / 2 else edge
            yield f'<text class="tick{edge}" x="{place:.1f}" y="{height - 8}">{words}</text>'


def _drawn(mark: Mark, x: Callable[[float], float], y: int) -> str:
    began, ended = x(mark.at), x(mark.until)
    kind = f"mark lane-{mark.lane}" + (" lost" if mark.is_lost else "")
    length = f"({mark.until - mark.at:.2f} s)" if mark.until > mark.at else ""
    words = [mark.words, mark.ended and f"… {mark.ended}", length]
    title = f"<title>{escape(' '.join(filter(None, words)))}</title>"
    if ended - began < NARROWEST:
        return f'<circle class="{kind}" cx="{began:.1f}" cy="{y}" r="6">{title}</circle>'
    return (
        f'<rect class="{kind}" x="{began:.1f}" y="{y - 6}" width="{ended - began:.1f}" '
        f'height="12" rx="6">{title}</rect>'
    )


def _middle(lane: int, above: int) -> int:
    return above + lane * LANE_HEIGHT + LANE_HEIGHT * 3 // 5


def when(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")  # noqa: DTZ006 - the reader's own clock
