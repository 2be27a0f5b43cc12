"""Our shop and one on DBOS Transact take turns: acknowledged, paid, idle, statements, processor.

Each turn starts all processes of one shop, and nothing of the other runs meanwhile. What is counted
on the processor is theirs and Postgres'; the gateway over HTTP, the queue double in the place of
SQS, and the shoppers are neither's. Where the request stores the order or its workflow and leaves
the rest to others, what is acknowledged is measured with the web processes alone as well.
"""

import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec

from config.local.processes import free_port
from tests.tools.bench.beside_dbos.server_log import NOTHING, Logged
from tests.tools.bench.beside_dbos.shops import (
    OURS,
    USE_OF_QUEUE,
    USES,
    WAYS,
    Prepared,
    Shop,
    Way,
    on_dbos,
    ours,
)
from tests.tools.bench.figures import Figures, Round, turned
from tests.tools.bench.options import Options
from tests.tools.bench.over_http import Presses
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

WEB_ALONE = "acknowledged, web alone"

# The requests of these ways have stored the order before they answer.
STORED_BY_REQUEST = ("started", "together")


@dataclass(frozen=True)
class Turn:
    """One way did this in one round. Only one gateway has an idle time and what was logged."""

    acknowledged: float  # a second
    paid: float  # a second, from the first press until the last was paid
    python: float  # seconds of processor for an order
    postgres: float
    idle: Round | None = None
    an_order: Logged = NOTHING  # without what polls meanwhile
    nobody_buys: Logged = NOTHING  # in a second

    @property
    def processor(self) -> float:
        return self.python + self.postgres


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
            measuring.web_alone_round(number)
    _add(figures, measuring.turns)
    _add_web_alone(figures, measuring.web_alone)
    for database in [OURS_IN, *(use.database for use in USES)]:
        stage.drop_database(database)
    return figures


class Measuring:
    def __init__(self, stage: Stage, options: Options) -> None:
        self._stage = stage
        self._options = options
        self.turns: dict[str, Turns] = {}  # by gateway
        self.web_alone: dict[str, list[float]] = {}  # acknowledged in a second

    def round(self, number: int, gateway: str, stripe_api_base: str) -> None:
        shops: list[Callable[[], AbstractContextManager[Shop]]] = [
            partial(ours, self._stage, stripe_api_base),
            *(partial(on_dbos, self._stage, use, stripe_api_base) for use in USES),
        ]
        for opened in turned(shops, number):
            self._stage.checkpoint()
            with opened() as shop:
                for name in turned(shop.ways, number):
                    self._options.say(f"{gateway}, {name}, round {number}")
                    turn = self._turn(shop, shop.ways[name], whole=gateway == IN_PROCESS)
                    self.turns.setdefault(gateway, {}).setdefault(name, []).append(turn)

    def web_alone_round(self, number: int) -> None:
        """The same presses, while nobody settles what they have stored."""
        shops: list[Callable[[], AbstractContextManager[Shop]]] = [
            partial(ours, self._stage, web_alone=True),
            partial(on_dbos, self._stage, USE_OF_QUEUE, web_alone=True),
        ]
        warm_up = self._options.pick(quick=WARM_UP, full=WARM_UP, tiny=4)
        how_many = self._options.pick(quick=300, full=1000, tiny=4)
        for opened in turned(shops, number):
            self._stage.checkpoint()
            with opened() as shop:
                for name in turned(shop.ways, number):
                    self._options.say(f"web alone, {name}, round {number}")
                    way = shop.ways[name]
                    _press(shop, way, way.prepare(warm_up))
                    pressed = _press(shop, way, way.prepare(how_many))
                    self.web_alone.setdefault(name, []).append(how_many / pressed.took)
                pressed_in_all = len(shop.ways) * (warm_up + how_many)
                if (waiting := shop.forget()) != pressed_in_all:
                    raise RuntimeError(f"Of {pressed_in_all} orders only {waiting} still waited")

    def _turn(self, shop: Shop, way: Way, *, whole: bool) -> Turn:
        options = self._options
        _buy(shop, way, way.prepare(options.pick(quick=WARM_UP, full=WARM_UP, tiny=4)))
        turn = self._loaded(shop, way, options.pick(quick=150, full=400, tiny=4))
        if not whole:
            return turn
        # Of fewer presses, 99 of a hundred cannot be told.
        prepared = way.prepare(options.pick(quick=12, full=100, tiny=2))
        time.sleep(QUIET_SECONDS)  # so that the first of them comes to an idle shop
        waits = _buy(shop, way, prepared, a_second=IDLE_A_SECOND)
        polls = self._polls()
        return replace(
            turn,
            idle=Round(IDLE_A_SECOND, waits.from_press),
            an_order=self._an_order(shop, way, options.pick(quick=60, full=150, tiny=2), polls),
            nobody_buys=polls,
        )

    def _loaded(self, shop: Shop, way: Way, how_many: int) -> Turn:
        """Carts are filled beforehand, because they are no part of an order's cost."""
        assert self._stage.postgres.child
        counted = (shop.pids, [self._stage.postgres.child.pid])
        prepared = way.prepare(how_many)
        before = [processor_seconds(pids) for pids in counted]
        bought = _buy(shop, way, prepared)
        python, postgres = (
            (processor_seconds(pids) - earlier) / how_many
            for pids, earlier in zip(counted, before, strict=True)
        )
        return Turn(how_many / bought.took, bought.paid_a_second, python, postgres)

    def _polls(self) -> Logged:
        """What is asked for in a second in which nobody buys."""
        logged = self._logged(lambda: time.sleep(QUIET_SECONDS))
        return logged.divided_by(QUIET_SECONDS + LOG_SECONDS)

    def _an_order(self, shop: Shop, way: Way, how_many: int, polls: Logged) -> Logged:
        """What an order asks for while many come at once, without what polls meanwhile."""
        prepared = way.prepare(how_many)
        began = time.monotonic()
        logged = self._logged(lambda: _buy(shop, way, prepared))
        return logged.without(polls, time.monotonic() - began).divided_by(how_many)

    def _logged(self, meanwhile: Callable[[], object]) -> Logged:
        with self._stage.statements_logged() as said:
            meanwhile()
            time.sleep(LOG_SECONDS)  # so that all of it is logged
        return Logged.of("".join(said))


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


def _press(shop: Shop, way: Way, prepared: Prepared, *, a_second: float = 0) -> Presses:
    presses = shop.over_http.send_requests(prepared.requests, a_second=a_second)
    if presses.statuses != {way.acknowledged: len(prepared.requests)}:
        raise RuntimeError(f"Not every press was answered with its order: {presses.statuses}")
    return presses


def _buy(shop: Shop, way: Way, prepared: Prepared, *, a_second: float = 0) -> Bought:
    presses = _press(shop, way, prepared, a_second=a_second)
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
        figures.add(f"{name}: statements", "an order", [t.an_order.statements for t in taken])
        figures.add(f"{name}: commits", "an order", [t.an_order.commits for t in taken])
        polls = [turn.nobody_buys for turn in taken]
        figures.add(f"{name}: statements, nobody buys", "a second", [p.statements for p in polls])
        figures.add(f"{name}: commits, nobody buys", "a second", [p.commits for p in polls])
        figures.add(f"{name}: processor, Python", "ms", [t.python * 1000 for t in taken])
        figures.add(f"{name}: processor, Postgres", "ms", [t.postgres * 1000 for t in taken])
        figures.add(f"{name}: processor, all", "ms", [t.processor * 1000 for t in taken])
        all_over_http = [t.processor * 1000 for t in over_http]
        figures.add(f"{name}: processor, all, {OVER_HTTP}", "ms", all_over_http)
    _add_ratios(figures, by_gateway)


def _add_ratios(figures: Figures, by_gateway: dict[str, Turns]) -> None:
    """Each ratio is of one round: to each way, and to whichever was the best in that round. What is
    acknowledged is compared with the best of those whose request stores the order as well."""

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
    add("processor", IN_PROCESS, lambda turn: turn.processor, min)
    turns = by_gateway[IN_PROCESS]
    storing = zip(*(turns[WAYS[path]] for path in STORED_BY_REQUEST), strict=True)
    best = [max(turn.acknowledged for turn in each) for each in storing]
    pairs = zip(turns[OURS], best, strict=True)
    ratios = [mine.acknowledged / other for mine, other in pairs]
    figures.add("ours ÷ DBOS, order stored by the request: acknowledged", "ratio", ratios)


def _add_web_alone(figures: Figures, taken: dict[str, list[float]]) -> None:
    for name, rates in taken.items():
        figures.add(f"{name}: {WEB_ALONE}", "orders/s", rates)
    for name in (name for name in taken if name != OURS):
        pairs = zip(taken[OURS], taken[name], strict=True)
        figures.add(f"ours ÷ {name}: {WEB_ALONE}", "ratio", [mine / other for mine, other in pairs])


def _idle_median(turn: Turn) -> float:
    return turn.idle.percentile(0.5) if turn.idle else 0.0
