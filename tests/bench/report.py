"""What a run found: for people, as JSON, and as the table of README and docs/scaling.md.

`python -m tests.bench.report FILE` renders the tables in Markdown from a run's JSON.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tests.bench.figures import Figure, Figures
from tests.bench.goals import by_name, verdicts

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
        f"{machine['date']}, {machine['minutes']:.1f} minutes"
    )


def as_markdown(run: dict[str, Any]) -> str:
    rows = ["| what | goal | measured | rounds | met |", "|---|---:|---:|---:|---|"]
    for goal in run["goals"]:
        median, spread = _measured(goal)
        rows.append(
            f"| {goal['what']} | {goal['goal']} | {median} | {spread} | {MET[goal['met']]} |"
        )
    rows += ["", f"{_shape(run['machine'])}.", ""]
    rows += ["| bench line | median | rounds |", "|---|---:|---:|"]
    for part in run["parts"]:
        for figure in part["figures"]:
            low, high = min(figure["rounds"]), max(figure["rounds"])
            spread = f"{low:,.3g} to {high:,.3g}" if len(figure["rounds"]) > 1 else ""
            value = f"{figure['median']:,.3g} {figure['unit']}"
            rows.append(f"| {part['part']}: {figure['name']} | {value} | {spread} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(as_markdown(json.loads(Path(sys.argv[1]).read_text())))
