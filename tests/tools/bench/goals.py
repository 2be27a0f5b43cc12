"""What the product set out to reach, held against a run."""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tests.tools.bench.figures import Figure, Figures

MISSING = Figure("", "", [])


@dataclass(frozen=True)
class Goal:
    what: str
    sign: str  # ≥ or ≤
    bound: float
    unit: str = ""
    # Of all figures of a run, by "part: name", those of which the worst counts.
    figures: Callable[[dict[str, Figure]], list[Figure]] = lambda _: []

    def measured(self, run: dict[str, Figure]) -> Figure | None:
        """The figure that is furthest from the goal; None where it was not measured."""
        found = self.figures(run)
        worst: Callable[..., Figure] = max if self.sign == "≤" else min
        return worst(found, key=lambda figure: figure.median) if found else None

    def is_met(self, figure: Figure) -> bool:
        compare = operator.le if self.sign == "≤" else operator.ge
        return bool(compare(round(figure.median, 3), self.bound))


def named(*beginnings: str) -> Callable[[dict[str, Figure]], list[Figure]]:
    return lambda run: [
        figure for key, figure in run.items() if key.startswith(beginnings) and figure.rounds
    ]


def exactly(name: str) -> Callable[[dict[str, Figure]], list[Figure]]:
    return lambda run: [run[name]] if name in run else []


def _publisher_over_placing(run: dict[str, Figure]) -> list[Figure]:
    rows, placing = run.get("publisher: publishers: 1"), run.get("placing: over HTTP")
    if rows is None or placing is None:
        return []
    return [Figure("publisher ÷ placing", "ratio", [rate / placing.median for rate in rows.rounds])]


GOALS = [
    Goal(
        "placing over HTTP ÷ pgbench with the same SQL",
        "≥",
        0.60,
        figures=exactly("placing: over HTTP ÷ pgbench"),
    ),
    # pgbench prepares statements only when it is told to.
    Goal(
        "the same ÷ pgbench with that SQL prepared beforehand",
        "≥",
        0.40,
        figures=exactly("placing: over HTTP ÷ pgbench, prepared"),
    ),
    Goal(
        "placing over HTTP ÷ plain ORM view",
        "≥",
        2.5,
        figures=named("placing: over HTTP ÷ plain ORM view"),
    ),
    Goal(
        "p99 of the POST, gateway hanging or SQS down ÷ healthy",
        "≤",
        1.10,
        figures=named("shopper's wait: 99 %"),
    ),
    Goal("SQL statements per placing", "≤", 8, figures=named("placing: statements")),
    Goal(
        "SQL statements of the checkout page, any lines, methods and rates",
        "≤",
        12,
        figures=named("placing: checkout page"),
    ),
    Goal(
        "order to paid, idle, gateway 0 ms, median",
        "≤",
        150,
        " ms",
        figures=named("order to paid: gateway 0 ms, idle, median"),
    ),
    Goal(
        "press to paid, idle, gateway 0 ms, median",
        "≤",
        25,
        " ms",
        figures=exactly("beside DBOS: ours: press → paid, idle, median"),
    ),
    Goal(
        "press to paid, idle, gateway 0 ms, 99 %",
        "≤",
        45,
        " ms",
        figures=exactly("beside DBOS: ours: press → paid, idle, 99 %"),
    ),
    Goal(
        "press to paid, a second, gateway over HTTP ÷ DBOS's best way",
        "≥",
        1.8,
        figures=exactly("beside DBOS: ours ÷ DBOS, its best: paid, gateway over HTTP"),
    ),
    Goal(
        "acknowledged a second ÷ DBOS, order stored by the request",
        "≥",
        0.8,
        figures=exactly("beside DBOS: ours ÷ DBOS, order stored by the request: acknowledged"),
    ),
    Goal(
        "the same, web alone ÷ DBOS, order and queue in one transaction",
        "≥",
        0.8,
        figures=exactly(
            "beside DBOS: ours ÷ DBOS, order and queue in one transaction: acknowledged, web alone"
        ),
    ),
    Goal(
        "processor time of an order, Python and Postgres",
        "≤",
        9,
        " ms",
        figures=exactly("beside DBOS: ours: processor, all"),
    ),
    Goal(
        "SQL statements of an order, all processes",
        "≤",
        12,
        figures=exactly("beside DBOS: ours: statements"),
    ),
    Goal(
        "commits of an order, autocommitted writes included",
        "≤",
        6,
        figures=exactly("beside DBOS: ours: commits"),
    ),
    Goal(
        "settling, one process ÷ bare boto3 loop, gateway 0 ms",
        "≥",
        0.85,
        figures=named("settling: worker ÷ bare loop"),
    ),
    Goal(
        "settling, gateway 300 ms ÷ (threads ÷ 0.3 s), up to 64 threads",
        "≥",
        0.9,
        figures=named("settling: limit reached"),
    ),
    Goal(
        "the same, 64 threads on two processes",
        "≥",
        0.85,
        figures=named("settling: two processes, limit reached"),
    ),
    Goal(
        "settling with an invoice each ÷ without",
        "≥",
        0.95,
        figures=named("settling: worker, with invoices ÷ without"),
    ),
    Goal(
        "SQS requests per order under load",
        "≤",
        0.32,
        figures=named("settling: SQS requests an order, ours under load"),
    ),
    Goal(
        "speed at 1,000,000 orders ÷ at 10,000",
        "≥",
        0.95,
        figures=named("growth: placing, long ÷", "growth: settling, long ÷"),
    ),
    Goal(
        "flash sale on one product ÷ a thousand products",
        "≥",
        0.5,
        figures=named("growth: flash sale ÷"),
    ),
    Goal(
        "pieces oversold, and deadlocks, in all of that",
        "≤",
        0,
        figures=named("growth: oversold", "growth: deadlocks"),
    ),
    Goal(
        "publisher, rows a second ÷ orders a second of placing",
        "≥",
        5,
        figures=_publisher_over_placing,
    ),
    Goal(
        "resident memory of a worker after many orders ÷ after 1,000",
        "≤",
        1.1,
        figures=named("memory: growth"),
    ),
    Goal(
        "idle shop: memory without Postgres, run_services",
        "≤",
        180,
        " MB",
        figures=exactly("idle shop: run_services: memory, PSS, in all"),
    ),
    Goal(
        "idle shop: memory without Postgres, separate commands",
        "≤",
        180,
        " MB",
        figures=exactly("idle shop: separate commands: memory, PSS, in all"),
    ),
    Goal(
        "idle shop: processor with Postgres, of one core, run_services",
        "≤",
        2,
        " %",
        figures=exactly("idle shop: run_services: processor, in all"),
    ),
    Goal(
        "idle shop: processor with Postgres, of one core, separate commands",
        "≤",
        2,
        " %",
        figures=exactly("idle shop: separate commands: processor, in all"),
    ),
    Goal(
        "worker killed: press → paid, longest",
        "≤",
        5,
        " s",
        figures=exactly("worker killed: press → paid, longest"),
    ),
    Goal(
        "Postgres restarted: press → paid, longest",
        "≤",
        5,
        " s",
        figures=exactly("Postgres restarted: press → paid, longest"),
    ),
    Goal(
        "Postgres restarted: presses put off",
        "≤",
        0,
        figures=exactly("Postgres restarted: presses put off"),
    ),
]


def by_name(parts: Sequence[Figures]) -> dict[str, Figure]:
    return {f"{part.part}: {figure.name}": figure for part in parts for figure in part.figures}


def verdicts(run: dict[str, Figure]) -> list[dict[str, Any]]:
    told = []
    for goal in GOALS:
        figure = goal.measured(run)
        told.append(
            {
                "what": goal.what,
                "goal": f"{goal.sign} {goal.bound:g}{goal.unit}",
                "median": figure.median if figure else None,
                "low": figure.low if figure else None,
                "high": figure.high if figure else None,
                "unit": goal.unit,
                "of": figure.name if figure else "",
                "met": goal.is_met(figure) if figure else None,
            }
        )
    return told
