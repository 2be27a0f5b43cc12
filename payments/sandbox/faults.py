"""Makes faults of the network and of the gateway, by chance from a seed or for the next calls.

A specification is a list of `step:fault=probability`, for instance
`confirm:reset=0.1,open:429=0.2,*:late=0.05`. `*` is all of the steps.
"""

import random
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from enum import Enum

from payments.sandbox.replies import Json


class NetworkFault(Enum):
    LATE = "late"  # answered after a second
    SILENT = "silent"  # executed, and never answered
    RESET = "reset"  # executed, and the connection cut
    ERROR = "500"  # executed, and answered with an error
    TURNED_AWAY = "429"  # not executed, with Retry-After
    UNAVAILABLE = "503"  # not executed
    UNAUTHORIZED = "401"  # not executed: the shop's key is refused


STEPS = ("open", "confirm", "retrieve", "cancel", "capture", "refund", "list")


# So much likelier than its specification says is a fault that is to be.
LIKELIER_TIMES = 4

# So many faults are remembered with what they met.
LATEST = 100


class BadSpecification(ValueError):
    """The text is not a list of `step:fault=probability`."""


@dataclass(frozen=True)
class Chance:
    step: str
    fault: NetworkFault
    probability: float


def parse(specification: str) -> list[Chance]:
    return [_parse_one(part) for part in specification.split(",") if part.strip()]


def _parse_one(part: str) -> Chance:
    step, _, rest = part.strip().partition(":")
    fault, _, probability = rest.partition("=")
    try:
        chance = Chance(step, NetworkFault(fault), float(probability or 1))
    except ValueError:
        raise BadSpecification(f"{part!r} is not step:fault=probability") from None
    if step not in {*STEPS, "*"} or not 0 <= chance.probability <= 1:
        raise BadSpecification(f"{part!r} is not step:fault=probability")
    return chance


@dataclass
class Faults:
    """The same seed and the same calls meet the same faults."""

    chances: list[Chance] = field(default_factory=list)
    seed: int = 0
    outage: bool = False
    likelier: frozenset[NetworkFault] = frozenset()
    is_key_refused: bool = False  # in every call, until somebody sets it back
    latency_seconds: float = 0.0  # in every call, beside the faults
    hits: Counter[str] = field(default_factory=Counter)
    # The last of them: when in seconds since 1970, the fault, and the path that met it.
    latest: deque[tuple[float, str, str]] = field(default_factory=lambda: deque(maxlen=LATEST))
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _scripted: list[Chance] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)  # noqa: S311 - it is to be repeatable

    def script(self, specification: str) -> None:
        """The next calls of these steps meet these faults, each once and in this order."""
        with self._lock:
            self._scripted += parse(specification)

    def calm(self) -> None:
        """Ends the faults, those by chance and those that were scripted."""
        with self._lock:
            self.chances, self._scripted = [], []

    def told(self) -> Json:
        with self._lock:
            latest = [{"at": at, "fault": fault, "path": path} for at, fault, path in self.latest]
            return {"hits": dict(self.hits), "latest": latest}

    def next_for(self, step: str, path: str = "") -> NetworkFault | None:
        with self._lock:
            fault = self._choose(step)
            if fault:
                self.hits[fault.value] += 1
                self.latest.append((time.time(), fault.value, path))
            return fault

    def _choose(self, step: str) -> NetworkFault | None:
        if self.is_key_refused:
            return NetworkFault.UNAUTHORIZED
        if self.outage:
            return NetworkFault.UNAVAILABLE
        for chance in self._scripted:
            if chance.step in {step, "*"}:
                self._scripted.remove(chance)
                return chance.fault
        # The likelier ones first: others would take calls from them.
        for chance in sorted(self.chances, key=lambda chance: chance.fault not in self.likelier):
            times = LIKELIER_TIMES if chance.fault in self.likelier else 1
            if chance.step in {step, "*"} and self._random.random() < chance.probability * times:
                return chance.fault
        return None


def step_of(method: str, path: str) -> str:
    """Which of `STEPS` a request is; empty for any other request."""
    parts = path.strip("/").split("/")
    if method == "GET":
        return "retrieve" if len(parts) == 3 else "list"
    if parts[1:] == ["payment_intents"]:
        return "open"
    if parts[1:] == ["refunds"]:
        return "refund"
    return parts[-1] if parts[-1] in STEPS else ""
