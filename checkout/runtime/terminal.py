"""What the commands for the people on duty have in common: who runs one, asking before it acts,
ages and tables that can be read, and progress where somebody watches."""

import getpass
import json
import os
import re
import sys
from argparse import ArgumentTypeError
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from enum import Enum
from typing import Any

from django.core.management.base import CommandError, CommandParser, OutputWrapper
from django.utils import timezone

from checkout.runtime.clock import database_now
from checkout.runtime.durations import SECONDS
from checkout.user_input.card_numbers import has_card_number

# Foreign words are shown up to so many characters.
SHOWN = 500

Progress = Callable[[int], None]

# What fits into an event or a row beside the rest.
LONGEST_REASON = 120
LONGEST_NAME = 60


def add_by(parser: CommandParser) -> None:
    parser.add_argument(
        "--by", type=_name, default=who_runs_this(), help="Who does this (default: %(default)s)."
    )


def add_yes(parser: CommandParser) -> None:
    parser.add_argument(
        "--yes", action="store_true", help="Do it without asking; needed where nobody can answer."
    )


def add_reason(parser: CommandParser, *, required: bool = False) -> None:
    parser.add_argument(
        "--reason", type=reason, required=required, help="Your reason, without customer data."
    )


def add_json(parser: CommandParser) -> None:
    parser.add_argument("--json", action="store_true", help="Print the result as JSON.")


def as_json(result: object) -> str:
    """Dataclasses are written as objects, times in ISO 8601, and members of an enum by name."""
    return json.dumps(result, indent=2, default=_jsonable)


def _jsonable(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.name.lower()
    return value.isoformat() if isinstance(value, datetime) else asdict(value)


def who_runs_this() -> str:
    try:
        return getpass.getuser()[:LONGEST_NAME]
    except (KeyError, OSError):  # a container whose user has no name
        return f"user {os.getuid()}"


def must_agree(question: str, terminal: OutputWrapper, *, yes: bool) -> None:
    """Ask on the terminal. Raises CommandError: the answer is no (1), or nobody gives one (2)."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise CommandError("Nobody to ask, and nothing was done. Repeat with --yes.", returncode=2)
    terminal.write(f"{question} [y/N] ", style_func=str, ending="")
    terminal.flush()
    if sys.stdin.readline().strip().lower() not in {"y", "yes"}:
        raise CommandError("Nothing was done.")


def progress_on(terminal: OutputWrapper, done: str) -> Progress:
    """Shows `12 published` in place; nothing where nobody watches."""
    if not terminal.isatty():
        return lambda count: None
    return lambda count: terminal.write(f"\r{count} {done}\r", style_func=str, ending="")


def span(written: str) -> timedelta:
    """`90s`, `15m`, `36h` or `30d`, as an argument's type."""
    match = re.fullmatch(r"([1-9]\d{0,5})([smhd])", written, re.ASCII)
    if match is None:
        raise ArgumentTypeError(f"{written} is none of 90s, 15m, 36h and 30d.")
    return timedelta(seconds=int(match[1]) * SECONDS[match[2]])


def moment(written: str) -> datetime:
    """A past time, as an argument's type: `36h` ago, or a day or time of ISO 8601 (or else UTC)."""
    now = database_now()
    try:
        if re.fullmatch(r"\d+[smhd]", written, re.ASCII):
            return now - span(written)
        then = datetime.fromisoformat(written)
    except (ValueError, OverflowError):
        then = None
    if then is not None and not then.tzinfo:
        then = timezone.make_aware(then)
    if then is None or then > now:
        raise ArgumentTypeError(f"{written} is none of 36h, 14d and 2026-11-01T12:00, or not past.")
    return then


def reason(written: str) -> str:
    """One line that fits into the order's history, as an argument's type."""
    words = " ".join(written.split())
    if not words or not words.isprintable():
        raise ArgumentTypeError("The reason says nothing that can be printed.")
    if len(words) > LONGEST_REASON:
        raise ArgumentTypeError(f"The reason is longer than {LONGEST_REASON} characters.")
    if has_card_number(words):
        raise ArgumentTypeError("There is a card number in the reason. Leave it out.")
    return words


def _name(written: str) -> str:
    words = " ".join(written.split())
    is_name = bool(words) and words.isprintable() and not has_card_number(words)
    if not is_name or len(words) > LONGEST_NAME:
        raise ArgumentTypeError(f"--by is a name of 1 to {LONGEST_NAME} characters.")
    return words


def age(seconds: float) -> str:
    """`45 s`, `12 min`, `3 h 5 min`, `2 d 4 h`."""
    seconds = max(0, int(seconds))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as they need; the first row is the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def printable(words: str) -> str:
    """Foreign words, without what a terminal would obey."""
    shown = words[:SHOWN] + ("…" if len(words) > SHOWN else "")
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown)
