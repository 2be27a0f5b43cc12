"""Text that people read on a page, a label or a parcel."""

import re
from typing import Any

from django import forms
from django.core.validators import RegexValidator
from django.utils.translation import gettext_lazy as _

# A pasted line end or tab separates words. Unicode Standard, 5.8 "Newline Guidelines".
LINE_ENDS = re.compile(r"[\t\n\v\f\r\x1c-\x1f\x85\u2028\u2029]+")

# Invisible characters that turn the direction of the text; phones add them to what is copied.
# Unicode Standard Annex 9, 2.1 to 2.5. The marks that single words need (200E, 200F) stay.
DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069\ufeff]")

# Control characters, single surrogates, and the characters for bytes that could not be read.
UNPRINTABLE = r"[\x01-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\ud800-\udfff\ufffd-\uffff]"

printable = RegexValidator(
    UNPRINTABLE,
    _("There is a character in it that cannot be printed. Please type it again."),
    "unprintable",
    inverse_match=True,
)


def one_line(text: str) -> str:
    """The text on one line, without invisible characters."""
    return DIRECTION.sub("", LINE_ENDS.sub(" ", text)).strip()


class LineField(forms.CharField):
    """A name, or a line of an address."""

    default_validators = [printable]

    def to_python(self, value: Any) -> Any:
        text = super().to_python(value)
        return one_line(text) if isinstance(text, str) else text
