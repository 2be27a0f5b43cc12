"""A file of order numbers and tracking numbers, as carriers and spreadsheets write them."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from checkout.orders.models.dispatch import LONGEST_TRACKING_NUMBER
from checkout.orders.numbers import parse_order_number
from checkout.user_input.table_file import read_table, without_sign_of_text

# The two columns of the file, and how their headings may be written.
COLUMNS = {
    "number": {"number", "ordernumber", "order", "orderno"},
    "tracking": {"tracking", "trackingnumber", "trackingno", "trackingcode"},
}

# What a spreadsheet makes of a long number, whose last digits are gone for ever.
SHORTENED = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class TrackingRow:
    line: int  # of the file, the first of which is 1
    number: str  # as the shop writes it, or as it was typed if it is none
    tracking: str
    problem: str = ""  # why the row cannot be read; empty if it can


def same_tracking(number: str) -> str:
    """The form in which two spellings of a tracking number are compared."""
    return re.sub(r"[\s-]", "", number).upper()


def tidy_tracking(typed: str) -> str:
    """A tracking number as it is stored. Raises ValueError, with a sentence, for what is none."""
    tidy = " ".join(unicodedata.normalize("NFKC", without_sign_of_text(typed)).split())
    if len(tidy) > LONGEST_TRACKING_NUMBER:
        raise ValueError(f"The tracking number is longer than {LONGEST_TRACKING_NUMBER} signs.")
    if not tidy.isprintable():
        raise ValueError("The tracking number has signs in it that cannot be printed.")
    if SHORTENED.fullmatch(tidy):
        raise ValueError(
            f"A spreadsheet has shortened the tracking number to {tidy}. Format that column as "
            "text before the numbers are put into it."
        )
    return tidy


def read_tracking_file(content: bytes) -> list[TrackingRow]:
    """Every row with something in it. Raises BadFile where there is no telling rows apart."""
    return [_row(line, cells) for line, cells in read_table(content, COLUMNS)]


def _row(line: int, cells: Mapping[str, str]) -> TrackingRow:
    typed = cells["number"]
    number = parse_order_number(without_sign_of_text(typed))
    try:
        tracking = tidy_tracking(cells["tracking"])
    except ValueError as error:
        return TrackingRow(line=line, number=number or typed, tracking="", problem=str(error))
    problem = ""
    if number is None:
        problem = "This is no order number." if typed else "There is no order number in this row."
    elif not tracking:
        problem = "There is no tracking number in this row."
    return TrackingRow(line=line, number=number or typed, tracking=tracking, problem=problem)
