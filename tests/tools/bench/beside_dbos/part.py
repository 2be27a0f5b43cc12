"""Our shop and one on DBOS Transact take turns: acknowledged, paid, idle, statements, processor.

Each turn starts all processes of one shop, and nothing of the other runs meanwhile. What is counted
on the processor is theirs and Postgres'; the gateway over HTTP, the queue double in the place of
SQS, and the shoppers are neither's.
"""

import re
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from config.local.processes import free_port
from tests.tools.bench.beside_dbos.shops import OURS, USES, WAYS, Shop, Way, on_dbos, ours
from tests.tools.bench.figures import Figures, Round
from tests.tools.bench.options import Options
from tests.tools.bench.placing import prepare
from tests.tools.bench.processor import processor_seconds
from tests.tools.bench.stage import Stage, await_answer

# One shopper at a time presses.
IDLE_A_SECOND = 3.0

WARM_UP = 40

QUIET_SECONDS = 1.0
LOG_SECONDS = 0.2

OURS_IN = "beside_dbos"

IN_PROCESS = "gateway 0 ms"
OVER_HTTP = "gateway over HTTP"

# The bench itself has no name at the server.
STATEMENT = re.compile(r"^\w+\|\d+\|LOG:  (?:statement|execute [^:]*): ", re.MULTILINE)


@dataclass(frozen=True)
class Turn:
    """One way did this in one round. Only one gateway has an idle time and statements."""

    acknowledged: float  # a second
    paid: float  # a second, from the first press until the last was paid
    python: float  # seconds of processor for an order
    postgres: float
    idle: Round | None = None
    statements: float = 0.0
    polls: float = 0.0  # statements of a second


Turns = dict[str, list[Turn]]
Measure = Callable[[Turn], float]


def run(stage: Stage, options: Options) -> Figures:
    figures = Figures("beside DBOS")
    if missing := [name for name in ("dbos", "fastapi", "uvicorn") if not find_spec(name)]:
        print(f"dbos: skipped, not installed here: {', '.join(missing)}", file=sys.stderr)
        return figures
    prepare(stage, OURS_IN)
    for use in USES:
        stage.make_database(use.database, like="template1")
    port = free_port()
    gateway = [f"--port={port}", f"--ledger={stage.file('beside-dbos-ledger.jsonl')}"]
    with stage.queue(), stage.manage("run_sandbox_gateway", *gateway) as sandbox:
        await_answer(sandbox, f"http://127.0.0.1:{port}/sandbox/faults")
        measuring = Measuring(stage, options)
        rounds = options.pick(quick=1, full=3, tiny=1)
        for number in range(1, rounds + 1):
            measuring.round(number, IN_PROCESS, "")
            measuring.round(number, OVER_HTTP, f"http://127.0.0.1:{port}")
    _add(figures, measuring.turns)
    for database in [OURS_IN, *(use.database for use in USES)]:
        stage.drop_database(database)
    return figures


class Measuring:
    def __init__(self, stage: Stage, options: Options) -> None:
        self._stage = stage
        self._options = options
        self.turns: dict[str, Turns] = {}  # by gateway

    def round(self, number: int, gateway: str, stripe_api_base: str) -> None:
        shops: list[Callable[[], AbstractContextManager[Shop]]] = [
            partial(ours, self._stage, stripe_api_base),
            *(partial(on_dbos, self._stage, use, stripe_api_base) for use in USES),
        ]
        for opened in shops if number % 2 else reversed(shops):
            self._stage.checkpoint()
            with opened() as shop:
                names = list(shop.ways)
                for name in names if number % 2 else reversed(names):
                    self._options.say(f"{gateway}, {name}, round {number}")
                    turn = self._turn(shop, shop.ways[name], whole=gateway == IN_PROCESS)
                    self.turns.setdefault(gateway, {}).setdefault(name, []).append(turn)

    def _turn(self, shop: Shop, way: Way, *, whole: bool) -> Turn:
        options = self._options
        _buy(shop, way, options.pick(quick=WARM_UP, full=WARM_UP, tiny=4))
        turn = self._loaded(shop, way, options.pick(quick=150, full=400, tiny=4))
        if not whole:
            return turn
        waits = _buy(shop, way, options.pick(quick=12, full=25, tiny=2), a_second=IDLE_A_SECOND)
        polls = self._polls()
        statements = self._statements(shop, way, options.pick(quick=60, full=150, tiny=2), polls)
        idle = Round(IDLE_A_SECOND, waits.from_press)
        return Turn(
            turn.acknowledged, turn.paid, turn.python, turn.postgres, idle, statements, polls
        )

    def _loaded(self, shop: Shop, way: Way, how_many: int) -> Turn:
        assert self._stage.postgres.child
        counted = (shop.pids, [self._stage.postgres.child.pid])
        before = [processor_seconds(pids) for pids in counted]
        bought = _buy(shop, way, how_many)
        python, postgres = (
            (processor_seconds(pids) - earlier) / how_many
            for pids, earlier in zip(counted, before, strict=True)
        )
        return Turn(how_many / bought.took, bought.paid_a_second, python, postgres)

    def _polls(self) -> float:
        """The statements of a second in which nobody buys."""
        said = self._said(lambda: time.sleep(QUIET_SECONDS))
        return len(STATEMENT.findall(said)) / (QUIET_SECONDS + LOG_SECONDS)

    def _statements(self, shop: Shop, way: Way, how_many: int, polls: float) -> float:
        """The statements of an order while many come at once, without what polls meanwhile."""
        began = time.monotonic()
        said = self._said(lambda: _buy(shop, way, how_many))
        polled = polls * (time.monotonic() - began)
        return max(0.0, len(STATEMENT.findall(said)) - polled) / how_many

    def _said(self, meanwhile: Callable[[], object]) -> str:
        with self._stage.statements_logged() as said:
            meanwhile()
            time.sleep(LOG_SECONDS)  # so that all of it is logged
        return "".join(said)


@dataclass(frozen=True)
class Bought:
    took: float  # until the last was acknowledged
    pressed_at: Sequence[float]
    paid_at: Sequence[float]

    @property
    def paid_a_second(self) -> float:
        return len(self.paid_at) / (max(self.paid_at) - min(self.pressed_at))

    @property
    def from_press(self) -> list[float]:
        pairs = zip(self.paid_at, self.pressed_at, strict=True)
        return [paid - pressed for paid, pressed in pairs]


def _buy(shop: Shop, way: Way, how_many: int, *, a_second: float = 0) -> Bought:
    prepared = way.prepare(how_many)
    presses = shop.over_http.send_requests(prepared.requests, a_second=a_second)
    if presses.statuses != {way.acknowledged: how_many}:
        raise RuntimeError(f"Not every press was answered with its order: {presses.statuses}")
    pairs = zip(presses.answered_at, presses.seconds, strict=True)
    pressed_at = [answered - took for answered, took in pairs]
    return Bought(presses.took, pressed_at, way.paid_at(prepared.keys))


def _add(figures: Figures, by_gateway: dict[str, Turns]) -> None:
    versions = ", ".join(f"{name} {version(name)}" for name in ("dbos", "fastapi", "uvicorn"))
    turns = by_gateway[IN_PROCESS]
    for name, taken in turns.items():
        note = versions if name == WAYS["started"] else ""
        figures.add(f"{name}: acknowledged", "orders/s", [t.acknowledged for t in taken], note)
        figures.add(f"{name}: paid, {IN_PROCESS}", "orders/s", [t.paid for t in taken])
        over_http = by_gateway[OVER_HTTP][name]
        figures.add(f"{name}: paid, {OVER_HTTP}", "orders/s", [t.paid for t in over_http])
        idle = [turn.idle for turn in taken if turn.idle]
        for what, share in (("median", 0.5), ("99 %", 0.99)):
            waits = [turn.percentile(share) * 1000 for turn in idle]
            figures.add(f"{name}: press → paid, idle, {what}", "ms", waits)
        figures.add(f"{name}: statements", "an order", [t.statements for t in taken])
        figures.add(f"{name}: statements, nobody buys", "a second", [t.polls for t in taken])
        figures.add(f"{name}: processor, Python", "ms", [t.python * 1000 for t in taken])
        figures.add(f"{name}: processor, Postgres", "ms", [t.postgres * 1000 for t in taken])
    _add_ratios(figures, by_gateway)


def _add_ratios(figures: Figures, by_gateway: dict[str, Turns]) -> None:
    """Each ratio is of one round: to each way, and to whichever was the best in that round."""

    def add(what: str, gateway: str, of: Measure, best: Callable[..., float]) -> None:
        turns = by_gateway[gateway]
        mine = [of(turn) for turn in turns[OURS]]
        theirs = {name: [of(turn) for turn in turns[name]] for name in WAYS.values()}
        theirs["DBOS, its best"] = [best(each) for each in zip(*theirs.values(), strict=True)]
        for name, values in theirs.items():
            ratios = [one / other for one, other in zip(mine, values, strict=True)]
            figures.add(f"ours ÷ {name}: {what}", "ratio", ratios)

    add("acknowledged", IN_PROCESS, lambda turn: turn.acknowledged, max)
    add(f"paid, {IN_PROCESS}", IN_PROCESS, lambda turn: turn.paid, max)
    add(f"paid, {OVER_HTTP}", OVER_HTTP, lambda turn: turn.paid, max)
    add("press → paid, idle, median", IN_PROCESS, _idle_median, min)
    add("processor", IN_PROCESS, lambda turn: turn.python + turn.postgres, min)


def _idle_median(turn: Turn) -> float:
    return turn.idle.percentile(0.5) if turn.idle else 0.0
