from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, add_json, aligned, as_json, printable, progress_on
from checkout.user_input.table_file import MOST_BYTES, BadFile
from payments.gateways.bank_transfer.bank_file import Row, read_bank_file
from payments.gateways.bank_transfer.receive import Became, record, recorded_before

LEFT = "no money that came"


class Command(BaseCommand):
    help = (
        "Record the money that came to the shop's bank account, by a CSV file of the bank's with "
        "the columns reference (the bank's own, for each entry), date, amount, text and, if it is "
        "not the shop's, currency. The order is found by its number in the text. What names no "
        "order waits in the admin for a person. The same file again records nothing twice. Exits "
        "with 1 when a row was refused; the other rows are recorded."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="The CSV file, in UTF-8.")
        add_by(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                rows = read_bank_file(file.read(MOST_BYTES + 1))
        except (BadFile, OSError) as error:
            raise CommandError(f"Nothing was recorded. {error}") from None
        progress = progress_on(self.stderr, f"of {len(rows)} rows")
        known = recorded_before(row.entry.bank_reference for row in rows if row.entry)
        results: list[tuple[Row, str]] = []
        for row in rows:
            results.append((row, _became(row, known, by=options["by"])))
            progress(len(results))
        refused = sum(bool(row.problem) for row, _ in results)
        told = [{"line": row.line, "result": became, "why": row.problem} for row, became in results]
        found = {"rows": told, "refused": refused}
        self.stdout.write(as_json(found) if options["json"] else _table(results))
        if refused:
            raise CommandError(f"{refused} of {len(results)} rows were refused.")


def _became(row: Row, known: set[str], *, by: str) -> str:
    if row.problem:
        return "refused"
    if row.entry is None:
        return LEFT
    if row.entry.bank_reference in known:
        return Became.BEFORE.value
    return record(row.entry, by=by, now=database_now()).value


def _table(results: list[tuple[Row, str]]) -> str:
    rows = [("line", "bank's reference", "result", "why")]
    for row, became in results:
        reference = row.entry.bank_reference if row.entry else ""
        rows.append((str(row.line), printable(reference), became, row.problem))
    counts: dict[str, int] = {}
    for _, became in results:
        counts[became] = counts.get(became, 0) + 1
    told = ", ".join(f"{count} {became}" for became, count in counts.items())
    return "\n".join([*aligned(rows), f"{told}."])
