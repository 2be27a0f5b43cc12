"""What is measured: each figure once a round, and ratios of figures of the same round."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar


@dataclass(frozen=True)
class Figure:
    name: str
    unit: str
    rounds: Sequence[float]
    note: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.rounds)

    @property
    def low(self) -> float:
        return min(self.rounds)

    @property
    def high(self) -> float:
        return max(self.rounds)


@dataclass(frozen=True)
class Round:
    """One contender's turn."""

    a_second: float
    seconds: Sequence[float]  # that each took

    def percentile(self, share: float) -> float:
        ordered = sorted(self.seconds)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


@dataclass
class Figures:
    """Of one part."""

    part: str
    figures: list[Figure] = field(default_factory=list)

    def add(self, name: str, unit: str, rounds: Iterable[float], note: str = "") -> None:
        self.figures.append(Figure(name, unit, list(rounds), note))

    def add_ratio(self, name: str, over: Sequence[Round], under: Sequence[Round]) -> None:
        """Of what they do in a second."""
        pairs = zip(over, under, strict=True)
        self.add(name, "ratio", [one.a_second / other.a_second for one, other in pairs])

    def add_contender(self, name: str, rounds: Sequence[Round], what: str = "orders/s") -> None:
        self.add(name, what, [turn.a_second for turn in rounds])
        self.add(f"{name}, median", "ms", [turn.percentile(0.5) * 1000 for turn in rounds])
        self.add(f"{name}, 99 %", "ms", [turn.percentile(0.99) * 1000 for turn in rounds])


Contender = Callable[[int], Round]
Item = TypeVar("Item")


def turned(contenders: Iterable[Item], number: int) -> list[Item]:
    """The order of one round, which is that of the round before in reverse."""
    order = list(contenders)
    return order if number % 2 else order[::-1]


def take_turns(
    contenders: dict[str, Contender],
    *,
    rounds: int,
    say: Callable[[str], None],
    warm_up: bool = True,
) -> dict[str, list[Round]]:
    """Round by round, the order reversed each time; the first round only warms up."""
    turns: dict[str, list[Round]] = {name: [] for name in contenders}
    for number in range(0 if warm_up else 1, rounds + 1):
        for name in turned(contenders, number):
            say(f"{name}, round {number} of {rounds}" if number else f"{name}, warming up")
            turn = contenders[name](number)
            if number:
                turns[name].append(turn)
    return turns
