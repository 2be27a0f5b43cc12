"""What a run found: for people, as JSON, and as the tables of docs/speed.md and docs/scaling.md.

`python -m tests.tools.bench.report FILE` renders the tables in Markdown from a run's JSON; with
`--write` into the documents.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.tools.bench.figures import Figure, Figures
from tests.tools.bench.goals import by_name, verdicts

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = (ROOT / "docs" / "speed.md", ROOT / "docs" / "scaling.md")

# Of a million requests to a FIFO queue, in USD, US East (N. Virginia), beyond the first million of
# a month (Amazon SQS pricing, as told by stored pages of March and June 2026).
PRICE = 0.50

MET = {True: "yes", False: "NO", None: "not measured"}


def as_plain(parts: Sequence[Figures], machine: dict[str, Any]) -> dict[str, Any]:
    return {
        "machine": machine,
        "parts": [
            {
                "part": part.part,
                "figures": [asdict(figure) | {"median": figure.median} for figure in part.figures],
            }
            for part in parts
        ],
        "goals": verdicts(by_name(parts)),
    }


def as_text(parts: Sequence[Figures], machine: dict[str, Any]) -> str:
    lines = []
    for part in parts:
        lines += ["", part.part.capitalize()]
        lines += [_line(figure) for figure in part.figures]
    lines += ["", f"{'Goal':<64} {'':>9} {'measured':>9} {'spread':>17}  met"]
    for goal in verdicts(by_name(parts)):
        median, spread = _measured(goal)
        lines.append(
            f"{goal['what']:<64} {goal['goal']:>9} {median:>9} {spread:>17}  {MET[goal['met']]}"
        )
    return "\n".join([*lines, "", _shape(machine)])


def _line(figure: Figure) -> str:
    spread = f"{figure.low:,.2f}-{figure.high:,.2f}" if len(figure.rounds) > 1 else ""
    note = f"  {figure.note}" if figure.note else ""
    return f"  {figure.name:<58} {figure.median:>10,.2f} {figure.unit:<9} {spread}{note}"


def _measured(goal: dict[str, Any]) -> tuple[str, str]:
    if goal["median"] is None:
        return "", ""
    unit = goal["unit"]
    return f"{goal['median']:.3g}{unit}", f"{goal['low']:.3g} to {goal['high']:.3g}"


def _shape(machine: dict[str, Any]) -> str:
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['memory_gb']} GB, "
        f"{machine['system']}; Python {machine['python']}, PostgreSQL {machine['postgres']}; "
        f"{machine['date']}, {machine['run']} run of {machine['minutes']:.0f} minutes"
    )


def goals_table(run: dict[str, Any]) -> str:
    rows = ["| what | goal | measured | rounds | met |", "|---|---:|---:|---:|---|"]
    for goal in run["goals"]:
        median, spread = _measured(goal)
        row = [goal["what"], goal["goal"], median, spread, MET[goal["met"]]]
        rows.append(f"| {' | '.join(row)} |")
    return "\n".join([*rows, "", f"Medians over rounds. {_shape(run['machine'])}."])


def lines_table(run: dict[str, Any]) -> str:
    rows = [f"{_shape(run['machine'])}.", "", "| line | median | rounds |", "|---|---:|---:|"]
    for part in run["parts"]:
        for figure in part["figures"]:
            low, high = min(figure["rounds"]), max(figure["rounds"])
            spread = f"{low:,.4g} to {high:,.4g}" if len(figure["rounds"]) > 1 else ""
            value = f"{figure['median']:,.4g} {figure['unit']}"
            rows.append(f"| {part['part']}: {figure['name']} | {value} | {spread} |")
    return "\n".join(rows)


# What a load asks for, and the line that says what one of it does.
CAPACITY = {
    "machines like this for web and Postgres": "placing: over HTTP",
    "publishers": "publisher: publishers: 1",
    "workers of 64 threads, gateway 300 ms": "settling: worker, gateway 300 ms, 64 threads",
}
REQUESTS = "settling: SQS requests an order, ours under load"
LOADS = (10, 100, 1_000, 10_000)
SECONDS_A_DAY = 86_400


def capacity_table(run: dict[str, Any]) -> str:
    """What so many orders a second ask for, by the lines of the run."""
    lines = {
        f"{part['part']}: {figure['name']}": figure["median"]
        for part in run["parts"]
        for figure in part["figures"]
    }
    rows = [
        f"| for orders a second | {' | '.join(f'{load:,}' for load in LOADS)} |",
        f"|---|{'---:|' * len(LOADS)}",
    ]
    for what, line in CAPACITY.items():
        if rate := lines.get(line):
            needed = [f"{math.ceil(load / rate):,}" for load in LOADS]
            rows.append(f"| {what} | {' | '.join(needed)} |")
    if requests := lines.get(REQUESTS):
        usd = [load * requests * SECONDS_A_DAY / 1_000_000 * PRICE for load in LOADS]
        rows.append(f"| SQS, USD a day | {' | '.join(f'{cost:,.2f}' for cost in usd)} |")
    return "\n".join(rows)


TABLES = {"goals": goals_table, "lines": lines_table, "capacity": capacity_table}


def with_tables(document: str, run: dict[str, Any]) -> str:
    """The document with each table between its marks made anew."""
    for name, table in TABLES.items():
        mark = f"<!-- bench: {name} -->"
        before, found, rest = document.partition(mark)
        if found:
            _, end, after = rest.partition("<!-- /bench -->")
            document = f"{before}{mark}\n\n{table(run)}\n\n{end}{after}"
    return document


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.tools.bench.report", description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument(
        "--write", action="store_true", help="into docs/speed.md and docs/scaling.md"
    )
    options = parser.parse_args()
    run = json.loads(options.file.read_text())
    if not options.write:
        print(goals_table(run), capacity_table(run), lines_table(run), sep="\n\n")
        return
    for document in DOCUMENTS:
        document.write_text(with_tables(document.read_text(), run))


if __name__ == "__main__":
    main()
