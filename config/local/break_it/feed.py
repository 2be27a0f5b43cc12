"""What happens, as lines: what was done, and for each second what shoppers were told."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from html import escape

import psycopg

from config.local.break_it.diary import Diary, Kind
from config.local.break_it.picture import when
from config.local.break_it.scenes import Scene
from config.local.break_it.words import counted, told_in_words
from config.local.crowd.records import Press

LINES = 14

# Presses so far back still make lines.
PRESSES = 500

SENT_AGAIN = """
    SELECT extract(epoch FROM date_trunc('second', e.created_at))::float, count(*)
    FROM orders_orderevent e JOIN orders_order o ON o.id = e.order_id
    WHERE e.reason LIKE '%%published again' AND o.email LIKE %s
    GROUP BY 1 ORDER BY 1 DESC LIMIT 5
"""

Line = tuple[float, str, bool]  # seconds since 1970, the words, and whether it was done by somebody


def lines_of_the_feed(scene: Scene, diary: Diary) -> list[Line]:
    """The newest first. What was done stays in view for a while, however much shoppers press."""
    done = list(_done(diary))[-LINES // 2 :]
    told = list(_told(scene.log.so_far().presses[-PRESSES:]))[-(LINES - len(done)) :]
    return sorted([*done, *told, *_sent_again(scene)], reverse=True)[:LINES]


def feed_as_html(lines: Iterable[Line]) -> str:
    return "".join(
        f'<li class="{"done" if is_done else "told"}"><span class="when">{when(at)}</span> '
        f"{escape(words)}</li>"
        for at, words, is_done in lines
    )


def _done(diary: Diary) -> Iterator[Line]:
    """The first sentence of each answer, and what was started again after no button's act."""
    for entry in diary.entries([Kind.DONE, Kind.START]):
        if not entry.is_told:
            first, stop, _ = entry.words.partition(". ")
            yield entry.at, first + stop.strip(), True


def _told(presses: Sequence[Press]) -> Iterator[Line]:
    by_second: dict[int, Counter[int]] = {}
    for press in presses:
        by_second.setdefault(int(press.at + press.seconds), Counter())[press.status] += 1
    for second, answers in sorted(by_second.items()):
        told = ", ".join(
            f"{count} × {told_in_words(status)}" for status, count in answers.most_common()
        )
        yield float(second), f"{counted(answers.total(), 'press', 'presses')}: {told}", False


def _sent_again(scene: Scene) -> Iterator[Line]:
    """What the sweep published once more, because nothing came of what was published before."""
    if not scene.is_shop:
        return
    try:
        with psycopg.connect(scene.database, connect_timeout=5) as connection:
            found = connection.execute(SENT_AGAIN, [f"shopper-{scene.run}-%"]).fetchall()
    except psycopg.Error:
        return  # it is away, and says so by the next look
    for at, count in found:
        yield at, f"The publisher's sweep sent {counted(count, 'message')} again", True
