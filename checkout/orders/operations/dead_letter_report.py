"""Dead letters and what was done about them, as tables for people and as JSON."""

from dataclasses import asdict
from datetime import datetime

from checkout.orders.operations.dead_letters import DeadLetter, Letters, Outcome
from checkout.runtime.terminal import aligned, printable


def letters_as_table(found: Letters) -> str:
    lines = []
    if found.letters:
        rows = [("letter", "order", "kind", "gen.", "received", "first sent", "order is", "why")]
        rows += [
            (
                letter.id,
                printable(letter.order) or "-",
                printable(letter.kind) or "-",
                str(letter.generation or "-"),
                str(letter.receive_count),
                _time(letter.first_sent_at),
                letter.order_status or "-",
                _problem(letter) or printable(letter.why),
            )
            for letter in found.letters
        ]
        lines = aligned(rows)
    lines.append(f"{len(found.letters)} dead letters.")
    if found.unread:
        lines.append(
            f"About {found.unread} more could not be read: another reader has them for up to a "
            "minute, or they stand behind ten of the same order."
        )
    return "\n".join(lines)


def _problem(letter: DeadLetter) -> str:
    if letter.is_anothers:
        return f"leave it: {letter.problem}"
    return f"discard only: {letter.problem}" if letter.problem else ""


def letter_as_text(letter: DeadLetter) -> str:
    shown = asdict(letter) | {
        "first_sent_at": _time(letter.first_sent_at),
        "problem": _problem(letter) or "-",
    }
    return "\n".join(
        f"{name.replace('_', ' '):<14} {printable(str(value or '-'))}"
        for name, value in shown.items()
    )


def outcomes_as_table(outcomes: list[Outcome]) -> str:
    rows = [("letter", "order", "kind", "result")]
    for outcome in outcomes:
        why = f": {outcome.problem}" if outcome.problem else ""
        shown = (printable(outcome.order) or "-", printable(outcome.kind) or "-")
        rows.append((printable(outcome.id), *shown, f"{outcome.done.value}{why}"))
    return "\n".join([*(aligned(rows) if outcomes else []), f"{len(outcomes)} dead letters."])


def _time(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}" if moment else "-"
