"""Whole numbers as people type them: the digits 0 to 9 and nothing else.

Python's own `int` also takes `1_0`, `+10`, and the digits of every script, and Django's field takes
`10.0`. People read a point or a comma in different ways, so neither is taken.
"""

import re
from argparse import ArgumentTypeError
from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

# Numbers of so many digits fit into a BIGINT.
DIGITS = re.compile(r"[0-9]{1,18}")
LARGEST = 10**18 - 1

NOT_WHOLE = _("Type a whole number in the digits 0 to 9 without separators, such as 12.")

DECIMAL = re.compile(r"[0-9]{1,9}(?:\.[0-9]{1,3})?")


def whole_number(text: str) -> int:
    """Raises ValueError for everything else, also for a sign. Spaces around are ignored."""
    text = text.strip()
    if not DIGITS.fullmatch(text):
        raise ValueError("not a whole number")
    return int(text)


class WholeNumberField(forms.IntegerField):
    def to_python(self, value: Any) -> int | None:
        if isinstance(value, int) or value in self.empty_values:
            return super().to_python(value)
        try:
            return whole_number(str(value))
        except ValueError:
            raise ValidationError(NOT_WHOLE, "invalid") from None


def whole_argument(*, least: int = 0, most: int = LARGEST) -> Callable[[str], int]:
    """The type of a command's argument."""

    def read(written: str) -> int:
        try:
            number = whole_number(written)
        except ValueError:
            number = -1
        if not least <= number <= most:
            between = f"from {least} to {most}" if most < LARGEST else f"of at least {least}"
            raise ArgumentTypeError(f"{written!r} is not a whole number {between}.")
        return number

    return read


def seconds_argument(written: str) -> float:
    """The type of a command's argument in seconds. Nothing is older or younger than `nan`."""
    if not DECIMAL.fullmatch(written):
        raise ArgumentTypeError(f"{written!r} is not a number of seconds such as 90 or 0.5.")
    return float(written)
