"""What may go wrong between a client and SQS, by chance from a seed; each hit is counted."""

import random
from collections import Counter
from dataclasses import dataclass, field

# Fault → its chance: at each request, or at each message of one.
CHANCES = {
    "connection refused": 0.02,  # nothing was done
    "reply lost": 0.02,  # all was done
    "throttled": 0.02,
    "unavailable": 0.02,
    "slow": 0.02,
    "empty receive": 0.05,  # although messages wait
    "partial batch": 0.03,  # an entry fails that would have gone through
    "late delivery": 0.05,  # sent, and received only later
    "duplicate delivery": 0.05,  # hidden from others for much shorter than was asked
    "deleted in vain": 0.02,  # acknowledged, and delivered again
}

LIKELIER_TIMES = 4

SLOW_SECONDS = (0.1, 1.0)
LATE_SECONDS = (0.2, 3.0)
EARLY_SECONDS = (0.05, 1.0)


@dataclass
class Hostility:
    """The same seed and the same requests meet the same faults."""

    seed: int
    chances: dict[str, float] = field(default_factory=lambda: dict(CHANCES))
    hits: Counter[str] = field(default_factory=Counter)
    is_on: bool = True
    likelier: frozenset[str] = frozenset()  # `LIKELIER_TIMES` as likely as `chances` says

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def strikes(self, fault: str) -> bool:
        times = LIKELIER_TIMES if fault in self.likelier else 1
        hit = self.is_on and self._random.random() < self.chances.get(fault, 0) * times
        self.hits[fault] += hit
        return hit

    def seconds(self, between: tuple[float, float]) -> float:
        return self._random.uniform(*between)


def peaceful() -> Hostility:
    return Hostility(seed=0, chances={}, is_on=False)
