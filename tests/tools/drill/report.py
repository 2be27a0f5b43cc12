"""What a run found, for people and for machines."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tests.tools.drill.deaths import GATEWAY_SECONDS
from tests.tools.drill.promises import Measured
from tests.tools.drill.run import Outcome

SHOWN = 5


def as_text(outcome: Outcome) -> str:
    total = outcome.totals
    lines = [
        "",
        f"{total.purchases} purchases acknowledged, {outcome.presses} presses, "
        f"{total.orders} orders, {total.charges} charges.",
        f"From the first press to an answer: median {outcome.median_wait:.2f} s, "
        f"99 % within {outcome.longest_but_one_percent:.1f} s. "
        f"{outcome.gave_up} shoppers gave up.",
        "",
        f"{'Promise':<62} {'tried':>8} {'broken':>7}",
    ]
    for promise in outcome.promises:
        lines.append(f"{promise.words:<62} {promise.tried:>8} {len(promise.broken):>7}")
        lines += [f"    {row}" for row in promise.broken[:SHOWN]]
    lines += ["", f"{'Fault':<62} {'hits':>8}"]
    lines += [f"{kind:<62} {hits:>8}" for kind, hits in outcome.faults.items()]
    done = ", ".join(f"{count} {did}" for did, count in sorted(outcome.queue.items()))
    lines += ["", f"The queue's journal: {done}."]
    if outcome.acts:
        acts = ", ".join(f"{count} × {act}" for act, count in outcome.acts.items())
        lines.append(f"Done by clerks and support: {acts}.")
    lines += _measured(outcome.measured)
    if outcome.settled_seconds is not None:
        lines.append(f"Quiet {outcome.settled_seconds:.0f} s after the faults stopped.")
    lines += [f"{outcome.seconds:.0f} s in all. Seed {outcome.seed}.", "", verdict(outcome)]
    return "\n".join(lines)


def _measured(measured: Measured) -> list[str]:
    lines = [
        f"From a charge to the books, at the longest: {_seconds(measured.lag)} during the faults, "
        f"{_seconds(measured.lag_afterwards)} after their end."
    ]
    if measured.deaths:
        each = [f"{kind}: {_seconds(took)}" for kind, took in measured.deaths.items()]
        lines.append(f"From a death to paid, at the longest: {', '.join(each)}.")
        lines.append(f"The gateway took {GATEWAY_SECONDS:g} s for each call of that.")
    return lines


def _seconds(took: float | None) -> str:
    return "never" if took is None else f"{took:.1f} s"


def verdict(outcome: Outcome) -> str:
    if outcome.violations:
        return f"BROKEN: {outcome.violations} violations."
    if outcome.too_rare:
        return f"INCONCLUSIVE: hit too rarely: {', '.join(outcome.too_rare)}."
    return "KEPT: every promise, against every fault."


def as_table(outcomes: Sequence[Outcome]) -> str:
    """The designs side by side, in Markdown."""
    head = (
        "| design | purchases | orders | duplicate | lost | to charge | charged | double | lost "
        "| wait, median | 99 % |"
    )
    rows = [head, "|---|" + "---:|" * 10]
    for outcome in outcomes:
        total = outcome.totals
        wanted = total.charges_wanted
        rows.append(
            f"| {outcome.design} | {total.purchases} | {total.orders} | {total.duplicate_orders} "
            f"| {total.lost_orders} | {wanted} | {total.charges_made} | {total.double_charges} "
            f"| {total.lost_charges} | {outcome.median_wait:.2f} s "
            f"| {outcome.longest_but_one_percent:.1f} s |"
        )
    return "\n".join(rows)


def as_json(outcomes: Sequence[Outcome]) -> str:
    return json.dumps([_plain(outcome) for outcome in outcomes], indent=2)


def _plain(outcome: Outcome) -> dict[str, Any]:
    plain = asdict(outcome)
    del plain["waits"]
    return plain | {
        "wait_median_seconds": outcome.median_wait,
        "wait_p99_seconds": outcome.longest_but_one_percent,
        "violations": outcome.violations,
        "verdict": verdict(outcome),
    }
