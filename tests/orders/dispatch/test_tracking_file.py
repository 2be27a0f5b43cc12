"""A file of tracking numbers is read as carriers and spreadsheets write it, or refused by line."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checkout.orders.dispatch.tracking_file import read_tracking_file, same_tracking
from checkout.orders.numbers import check_digits
from checkout.user_input.table_file import MOST_BYTES, MOST_ROWS, BadFile


def number(serial: int) -> str:
    return f"{serial}-{check_digits(serial)}"


ONE, TWO = number(100482), number(100483)


def read(text: str, encoding: str = "utf-8") -> list[tuple[int, str, str]]:
    rows = read_tracking_file(text.encode(encoding))
    assert [row.problem for row in rows] == [""] * len(rows)
    return [(row.line, row.number, row.tracking) for row in rows]


@pytest.mark.parametrize(
    "text",
    [
        f"number,tracking\n{ONE},AB1\n{TWO},CD2\n",
        f"number;tracking\r\n{ONE};AB1\r\n{TWO};CD2",
        f"\ufeffNumber;Tracking\r\n{ONE};AB1\r\n{TWO};CD2\r\n",
        f"ORDER NUMBER\tTracking number\n{ONE}\tAB1\n{TWO}\tCD2\n",
        f'"Tracking-No.","name","Order no."\n"AB1","Ada, Countess","{ONE}"\n"CD2",,"{TWO}"\n',
        f'number;tracking\n="{ONE}";="AB1"\n\'{TWO};\'CD2\n',
        f" Number , TRACKING_NUMBER \n #{ONE} , AB1 \n{TWO.replace('-', ' ')},CD2\n",
    ],
)
def test_file_of_a_spreadsheet_is_read(text: str) -> None:
    assert read(text) == [(2, ONE, "AB1"), (3, TWO, "CD2")]


def test_lines_are_those_of_the_file() -> None:
    text = f'sep=;\nnumber;tracking;note\n\n{ONE};AB1;"two\nlines"\n;;\n{TWO};CD2;\n'

    assert read(text) == [(4, ONE, "AB1"), (7, TWO, "CD2")]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "empty"),
        (b"\xef\xbb\xbf", "empty"),
        (b"number,tracking\n", "no row below"),
        (b"number,tracking\n,\n", "no row below"),
        (b"100482-31,AB1\n", "no column “number”"),
        (b"number\n100482-31\n", "no column “tracking”"),
        (b"number,tracking,Tracking number\n1,2,3\n", "more than one column “tracking”"),
        (b"number,tracking\n100482-31,AB\n100483-29,M\xfcller\n", "Line 3 is not in UTF-8"),
        ("number,tracking\n1,2\n".encode("utf-16"), "Line 1 is not in UTF-8"),
        (b"number,tracking\n" + b"x" * MOST_BYTES, "larger than 2 MB"),
        (b"number,tracking\n" + b"1,2\n" * (MOST_ROWS + 1), "more than 10,000 rows"),
        (b"number,tracking\n" + b"1," + b"x" * 200_000 + b"\n", "Line 2 cannot be read"),
    ],
)
def test_file_that_says_nothing_is_refused(content: bytes, why: str) -> None:
    with pytest.raises(BadFile, match=why):
        read_tracking_file(content)


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ("100482-32,AB1", "This is no order number."),
        (",AB1", "There is no order number in this row."),
        (f"{ONE},", "There is no tracking number in this row."),
        (ONE, "There is no tracking number in this row."),
        (f"{ONE},{'9' * 81}", "longer than 80 signs"),
        (f"{ONE},AB\x00CD", "cannot be printed"),
        (f"{ONE},AB\u202eCD", "cannot be printed"),
        (f"{ONE},1.23457E+13", "A spreadsheet has shortened"),
        (f'{ONE},"1,23457E+13"', "A spreadsheet has shortened"),
    ],
)
def test_row_that_cannot_be_read_is_a_problem_of_its_own(row: str, why: str) -> None:
    bad, good = read_tracking_file(f"number,tracking\n{row}\n{TWO},CD2\n".encode())

    assert bad.line == 2
    assert why in bad.problem
    assert (good.line, good.problem) == (3, "")


def test_two_spellings_of_a_tracking_number_are_the_same() -> None:
    assert same_tracking("1z 999-aa1 01") == same_tracking("1Z999AA101")


CELLS = st.text(st.characters(codec="utf-8"), max_size=20)


ROWS = st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=5)


@given(rows=ROWS, delimiter=st.sampled_from(",;\t"))
def test_whatever_is_in_the_cells_each_row_is_read_or_has_a_problem(
    rows: list[tuple[str, str]], delimiter: str
) -> None:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([("number", "tracking"), *rows])

    try:
        found = read_tracking_file(file.getvalue().encode())
    except BadFile:
        return

    assert all(row.problem or (row.number and row.tracking.isprintable()) for row in found)


@given(st.binary(max_size=200))
def test_no_bytes_break_it(content: bytes) -> None:
    try:
        read_tracking_file(b"number,tracking\n" + content)
        read_tracking_file(content)
    except BadFile:
        pass
