"""VAT identification numbers: their form is checked where it is known, and nobody is asked.

python-stdnum knows length, letters and check digits. Whether a number is registered is for the
bookkeeping: asking VIES takes seconds, and it is away for hours at times.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator

from stdnum.ch import uid as swiss_company
from stdnum.eu import vat as eu
from stdnum.exceptions import ValidationError
from stdnum.gb import vat as british
from stdnum.no import mva as norwegian

# Country → the letters with which its numbers begin: Greece has its own, and the Isle of Man
# belongs to the United Kingdom's VAT.
BEGINS = {code.upper(): code.upper() for code in eu.MEMBER_STATES} | {
    "GR": "EL",
    "GB": "GB",
    "IM": "GB",
    "CH": "CHE",
    "NO": "NO",
}
SWISS_ENDINGS = {"", "MWST", "TVA", "IVA", "TPV"}


def compact(typed: str, country: str) -> str | None:
    """The number in one spelling, with the letters of its country before it; None for one that is
    wrong. A customer may have the number of another country than they live in. A number of a
    country whose form is not known stays as it was typed."""
    number = re.sub(r"[\s./_-]", "", unicodedata.normalize("NFKC", typed)).upper()
    for candidate in _readings(number, country):
        try:
            return _check(candidate)
        except ValidationError:
            continue
    return None if country in BEGINS else typed.strip()


def _readings(number: str, country: str) -> Iterator[str]:
    """The number by the letters that it begins with, then as one of its customer's country."""
    if number[:2] == "GR":
        number = f"EL{number[2:]}"
    if number[:2] in {begin[:2] for begin in BEGINS.values()}:
        yield number
    if country in BEGINS:
        yield BEGINS[country] + number


def _check(number: str) -> str:
    """Raises the library's `ValidationError`."""
    own: dict[str, Callable[[str], str]] = {"CH": _swiss, "NO": _norwegian, "GB": _british}
    return own.get(number[:2], eu.validate)(number)


def _swiss(number: str) -> str:
    company, ending = number[:12], number[12:]
    if ending not in SWISS_ENDINGS:
        raise ValidationError
    return swiss_company.validate(company) + ending


def _norwegian(number: str) -> str:
    return f"NO{norwegian.validate(number if number.endswith('MVA') else f'{number}MVA')}"


def _british(number: str) -> str:
    return f"GB{british.validate(number)}"
