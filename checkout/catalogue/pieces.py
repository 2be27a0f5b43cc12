"""A number of pieces, as people type it."""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError

DIGITS = re.compile(r"[0-9]{1,7}")


class PiecesField(forms.IntegerField):
    """Digits alone: Python also takes `1_0` for ten, and one person's 1.000 is another's 1."""

    def to_python(self, value: Any) -> int | None:
        typed = str(value).strip() if value is not None else ""
        if typed and not DIGITS.fullmatch(typed):
            raise ValidationError("A whole number without separators, such as 1200.")
        return super().to_python(typed)
