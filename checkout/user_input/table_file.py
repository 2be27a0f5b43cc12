"""A table in a CSV file, as spreadsheets, carriers and banks write it."""

import csv
import io
import re
from collections.abc import Collection, Iterator, Mapping, Sequence

# The file of a busy day, several times over. A larger one is divided.
MOST_BYTES = 2_000_000
MOST_ROWS = 10_000

# A spreadsheet that was told to treat a cell as a text may write it in either of these ways.
AS_TEXT = re.compile(r'="(.*)"|\'(.*)', re.DOTALL)

# Column → the headings that are taken for it, as small letters and digits alone.
Columns = Mapping[str, Collection[str]]


class BadFile(Exception):
    """Nothing was read of the file. The message says why, to the person who gave it."""


def read_table(
    content: bytes, columns: Columns, *, may_lack: Collection[str] = ()
) -> list[tuple[int, dict[str, str]]]:
    """Every row with something in it: its line of the file, the first of which is 1, and its cells
    by column. Raises BadFile where there is no telling rows or columns apart."""
    if len(content) > MOST_BYTES:
        raise BadFile(f"The file is larger than {MOST_BYTES // 1_000_000} MB. Divide it.")
    lines = list(_cells(_text(content)))
    if not lines:
        raise BadFile("The file is empty.")
    places = _places(lines[0][1], columns, may_lack)
    rows = [(line, _row(cells, places)) for line, cells in lines[1:] if any(cells)]
    if not rows:
        raise BadFile("The file has a heading and no row below it.")
    if len(rows) > MOST_ROWS:
        raise BadFile(f"The file has more than {MOST_ROWS:,} rows. Divide it.")
    return rows


def without_sign_of_text(cell: str) -> str:
    """The cell without what a spreadsheet puts around a text that looks like a number."""
    return AS_TEXT.sub(lambda match: match[1] or match[2] or "", cell.strip())


def _row(cells: Sequence[str], places: Mapping[str, int]) -> dict[str, str]:
    return {name: cells[at] if at < len(cells) else "" for name, at in places.items()}


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


def _places(heading: Sequence[str], columns: Columns, may_lack: Collection[str]) -> dict[str, int]:
    names = [re.sub(r"[^a-z0-9]", "", cell.lower()) for cell in heading]
    places = {}
    for wanted, known in columns.items():
        found = [at for at, name in enumerate(names) if name in known]
        if not found and wanted in may_lack:
            continue
        if len(found) != 1:
            how_many = "no column" if not found else "more than one column"
            raise BadFile(
                f"The file has {how_many} “{wanted}”. Its first line names the columns: "
                f"{', '.join(columns)}."
            )
        places[wanted] = found[0]
    return places
