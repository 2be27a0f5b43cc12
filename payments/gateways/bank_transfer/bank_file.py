"""The bank's statement as a file: what came, entry by entry."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date

from django.conf import settings

from checkout.catalogue.typed_amounts import UnreadableAmount, read_amount
from checkout.user_input.table_file import read_table, without_sign_of_text
from payments.gateways.bank_transfer.receive import Entry

# Headings as banks write them. Their own names can be put into the file's first line instead.
COLUMNS = {
    "reference": {"reference", "bankreference", "transactionid", "id", "entryreference"},
    "date": {"date", "bookingdate", "bookedon", "valuedate"},
    "amount": {"amount"},
    "text": {"text", "purpose", "remittanceinformation", "details", "description"},
    "currency": {"currency"},
}
# Without this column all amounts are in the shop's currency.
MAY_LACK = {"currency"}

DATE = re.compile(r"(\d{4})-(\d{2})-(\d{2})|(\d{1,2})\.(\d{1,2})\.(\d{4})")


@dataclass(frozen=True, kw_only=True)
class Row:
    line: int
    entry: Entry | None  # None: the row tells of no money that came
    problem: str = ""


def read_bank_file(content: bytes) -> list[Row]:
    """Raises BadFile where there is no telling rows apart."""
    return [_row(line, cells) for line, cells in read_table(content, COLUMNS, may_lack=MAY_LACK)]


def _row(line: int, cells: Mapping[str, str]) -> Row:
    amount = without_sign_of_text(cells["amount"])
    if amount.startswith(("-", "−")) or amount.endswith("-"):
        return Row(line=line, entry=None)  # money that left
    try:
        entry = _entry(cells, amount)
    except (ValueError, UnreadableAmount) as error:
        return Row(line=line, entry=None, problem=str(error))
    return Row(line=line, entry=entry)


def _entry(cells: Mapping[str, str], amount: str) -> Entry:
    currency = cells.get("currency", "").upper() or settings.SHOP_CURRENCY
    if currency != settings.SHOP_CURRENCY:
        raise ValueError(f"The shop's account is in {settings.SHOP_CURRENCY}.")
    reference = without_sign_of_text(cells["reference"])
    if not 0 < len(reference) <= 80 or not reference.isprintable():
        raise ValueError("The bank's reference is missing, or longer than 80 signs.")
    amount_minor = read_amount(amount.removeprefix("+"), currency)
    if not amount_minor:
        raise ValueError("The amount is nothing.")
    text = " ".join(without_sign_of_text(cells["text"]).split())
    return Entry(
        bank_reference=reference,
        booked_on=_date(cells["date"]),
        amount_minor=amount_minor,
        currency=currency,
        text="".join(sign for sign in text if sign.isprintable()),
    )


def _date(typed: str) -> date:
    match = DATE.fullmatch(without_sign_of_text(typed))
    if match is None:
        raise ValueError("The date is written as 2026-11-29 or 29.11.2026.")
    year, month, day = (
        (match[1], match[2], match[3]) if match[1] else (match[6], match[5], match[4])
    )
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise ValueError("There is no such day.") from None
