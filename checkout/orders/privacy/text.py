"""The exported document as text that a person can read."""

from collections.abc import Iterator
from typing import Any

from checkout.runtime.terminal import printable

INDENT = "  "
NOTHING: tuple[Any, ...] = (None, "", [], {})


def as_text(document: dict[str, Any]) -> str:
    return "\n".join(_lines(document, 0))


def _lines(value: Any, depth: int) -> Iterator[str]:
    """Empty fields are left out. Each part of a list begins with a dash."""
    if isinstance(value, dict):
        for name, inside in value.items():
            if inside in NOTHING:
                continue
            label = f"{INDENT * depth}{name.replace('_', ' ')}:"
            if isinstance(inside, (dict, list)):
                yield label
                yield from _lines(inside, depth + 1)
            else:
                yield f"{label} {_one_line(inside)}"
    elif isinstance(value, list):
        for each in value:
            first, *rest = [*_lines(each, depth + 1)] or [""]
            yield f"{INDENT * depth}- {first.lstrip()}"
            yield from rest
    else:
        yield f"{INDENT * depth}{_one_line(value)}"


def _one_line(value: Any) -> str:
    """Whole: nothing that is stored of the person is cut off."""
    return "".join(printable(sign) for sign in str(value))
