"""A file of order numbers and tracking numbers, as carriers and spreadsheets write them."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checkout.orders.models.dispatch import LONGEST_TRACKING_NUMBER
from checkout.orders.numbers import parse_order_number

# The file of a busy day, several times over. A larger one is divided.
MOST_BYTES = 2_000_000
MOST_ROWS = 10_000

# The names of the two columns, as they are when small letters and digits alone are left of them.
NUMBER_COLUMN = {"number", "ordernumber", "order", "orderno"}
TRACKING_COLUMN = {"tracking", "trackingnumber", "trackingno", "trackingcode"}

# A spreadsheet that was told to treat a cell as a text may write it in either of these ways.
AS_TEXT = re.compile(r'="(.*)"|\'(.*)', re.DOTALL)

# What a spreadsheet makes of a long number, whose last digits are gone for ever.
SHORTENED = re.compile(r"\d([.,]\d+)?E\+?\d+", re.IGNORECASE)


class BadFile(Exception):
    """Nothing was read of the file. The message says why, to the person who gave it."""


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
    written = AS_TEXT.sub(lambda match: match[1] or match[2] or "", typed.strip())
    tidy = " ".join(unicodedata.normalize("NFKC", written).split())
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
    if len(content) > MOST_BYTES:
        raise BadFile(f"The file is larger than {MOST_BYTES // 1_000_000} MB. Divide it.")
    lines = list(_cells(_text(content)))
    if not lines:
        raise BadFile("The file is empty.")
    number_at, tracking_at = _columns(lines[0][1])
    rows = [_row(line, cells, number_at, tracking_at) for line, cells in lines[1:] if any(cells)]
    if not rows:
        raise BadFile("The file has a heading and no row below it.")
    if len(rows) > MOST_ROWS:
        raise BadFile(f"The file has more than {MOST_ROWS:,} rows. Divide it.")
    return rows


def _text(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise BadFile(
            f"Line {line} is not in UTF-8. Save the file as “CSV UTF-8” and give it again."
        ) from None


def _cells(text: str) -> Iterator[tuple[int, list[str]]]:
    """The number of the line on which each row begins, and its cells."""
    heading, _, rest = text.partition("\n")
    skipped = 0
    if declared := re.fullmatch(r"sep=([,;\t])\r?", heading, re.IGNORECASE):
        delimiter, text, skipped = declared[1], rest, 1  # Excel's own first line
    else:
        delimiter = max(",;\t", key=heading.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = 1
    try:
        for cells in reader:
            yield line + skipped, [cell.strip() for cell in cells]
            line = reader.line_num + 1
    except csv.Error as error:
        raise BadFile(f"Line {line + skipped} cannot be read: {error}.") from None


def _columns(heading: Sequence[str]) -> tuple[int, int]:
    names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in heading]
    found = [
        [at for at, name in enumerate(names) if name in known]
        for known in (NUMBER_COLUMN, TRACKING_COLUMN)
    ]
    for at, wanted in zip(found, ("number", "tracking"), strict=True):
        if len(at) != 1:
            how_many = "no column" if not at else "more than one column"
            raise BadFile(
                f"The file has {how_many} “{wanted}”. Its first line names the columns: "
                "number, tracking."
            )
    return found[0][0], found[1][0]


def _row(line: int, cells: Sequence[str], number_at: int, tracking_at: int) -> TrackingRow:
    typed = cells[number_at] if number_at < len(cells) else ""
    number = parse_order_number(AS_TEXT.sub(lambda match: match[1] or match[2] or "", typed))
    try:
        tracking = tidy_tracking(cells[tracking_at] if tracking_at < len(cells) else "")
    except ValueError as error:
        return TrackingRow(line=line, number=number or typed, tracking="", problem=str(error))
    problem = ""
    if number is None:
        problem = "This is no order number." if typed else "There is no order number in this row."
    elif not tracking:
        problem = "There is no tracking number in this row."
    return TrackingRow(line=line, number=number or typed, tracking=tracking, problem=problem)
