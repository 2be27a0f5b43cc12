"""What the shop's command lines do before their own work."""

import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper

# Values for the required settings while a command only prints its help. They lead nowhere.
PLACEHOLDERS = {"SECRET_KEY": "for-help-alone", "DATABASE_URL": "postgres://nobody@127.0.0.1/none"}


def speak_at_once() -> None:
    """Write each line at once, also into a pipe or the log of a process that is killed later."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True)


def asks_for_help(arguments: Sequence[str]) -> bool:
    """Whether the command line only asks for help: `help`, `COMMAND --help` or `-h`."""
    words = list(arguments[1:])
    if "--" in words:
        del words[words.index("--") :]  # the rest is data, whatever it looks like
    return words[:1] == ["help"] or not {"-h", "--help"}.isdisjoint(words)


def need_no_settings() -> None:
    for name, placeholder in PLACEHOLDERS.items():
        if f"{name}_FILE" not in os.environ:
            os.environ.setdefault(name, placeholder)
