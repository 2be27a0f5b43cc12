"""Order numbers: short, readable over the telephone, and checksummed. They never grant access.

`100482-31` is a number from a database sequence and two check digits by ISO/IEC 7064 MOD 97-10,
which catch every single wrong digit and every swap of two neighbours.
"""

import re
import unicodedata

from django.db.models import CharField, Func


class NextOrderNumber(Func):
    """The database function of the first migration makes the number, so that none is made twice."""

    function = "orders_next_order_number"
    arity = 0
    allowed_default = True
    output_field = CharField()


def check_digits(serial: int) -> str:
    return f"{98 - serial * 100 % 97:02d}"


# Unicode categories of what people type between digits: spaces, dashes, and invisible characters.
BETWEEN = {"Zs", "Cc", "Pd", "Cf"}
MINUS = str.maketrans("−", "-")


def _digit(sign: str) -> str:
    """Return a digit of any script in ASCII, and any other sign as it is."""
    return str(unicodedata.decimal(sign)) if sign.isdecimal() else sign


def parse_order_number(typed: str) -> str | None:
    """Return the stored form of a number that a person typed; None when it cannot be a number."""
    plain = unicodedata.normalize("NFKC", typed).translate(MINUS)
    digits = "".join(_digit(sign) for sign in plain if unicodedata.category(sign) not in BETWEEN)
    match = re.fullmatch(r"(?:#|n[or]\.?)?(\d{1,18})(\d{2})", digits, re.ASCII | re.IGNORECASE)
    if match is None or check_digits(int(match[1])) != match[2]:
        return None
    return f"{int(match[1])}-{match[2]}"
