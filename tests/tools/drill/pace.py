"""Faults that are left to chance keep a pace: each is met often enough for a verdict, on a slow
machine too, where fewer calls are made."""

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from tests.tools.drill.chaos import ENOUGH

# So often each is to be met until the end. What is behind for a moment may still come to enough.
WANTED = 1.5 * ENOUGH

LOOK_EVERY_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True)
class Source:
    """Whoever makes such faults. `hits` and `make_likelier` know them by the same names."""

    name: str
    kinds: frozenset[str]
    hits: Callable[[], Mapping[str, int]]
    make_likelier: Callable[[Collection[str]], None]


class Pace:
    def __init__(self, sources: Sequence[Source], *, is_kept: bool = True) -> None:
        """Where it is not kept, each fault has its own chance all the time."""
        self._sources = sources
        self._is_kept = is_kept
        self._next_look = 0.0

    def tend(self, part: float) -> None:
        """`part` of the run is over, from 0 to 1. What is behind becomes likelier."""
        now = time.monotonic()
        if not self._is_kept or now < self._next_look:
            return
        self._next_look = now + LOOK_EVERY_SECONDS
        for source in self._sources:
            hits = source.hits()
            behind = [kind for kind in source.kinds if hits.get(kind, 0) < WANTED * part]
            source.make_likelier(sorted(behind))

    def hits(self) -> dict[str, int]:
        """Also of what was never met."""
        return {
            f"{source.name}: {kind}": count
            for source in self._sources
            for kind, count in (dict.fromkeys(source.kinds, 0) | dict(source.hits())).items()
        }
