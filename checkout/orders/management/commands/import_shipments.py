from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.dispatch.import_shipments import Done, Imported, counted, import_shipments
from checkout.orders.dispatch.tracking_file import read_tracking_file
from checkout.runtime.terminal import add_by, add_json, aligned, as_json, printable, progress_on
from checkout.user_input.table_file import MOST_BYTES, BadFile


class Command(BaseCommand):
    help = (
        "Mark orders as sent by a CSV file with the columns number and tracking, as carriers and "
        "spreadsheets write it. All that is left of each order is sent as one parcel, and its "
        "customer gets an e-mail. The same file again sends nothing twice. Exits with 1 when a row "
        "was refused; the other rows are sent."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE", help="The CSV file, in UTF-8.")
        parser.add_argument(
            "--dry-run", action="store_true", help="Only show what would become of each row."
        )
        add_by(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            with options["file"].open("rb") as file:
                rows = read_tracking_file(file.read(MOST_BYTES + 1))
        except (BadFile, OSError) as error:
            raise CommandError(f"Nothing was sent. {error}") from None
        progress, results = progress_on(self.stderr, f"of {len(rows)} rows"), list[Imported]()
        for result in import_shipments(rows, by=options["by"], dry_run=options["dry_run"]):
            results.append(result)
            progress(len(results))
        refused = sum(result.done is Done.REFUSED for result in results)
        found = {"dry_run": options["dry_run"], "rows": results, "refused": refused}
        self.stdout.write(as_json(found) if options["json"] else _table(results))
        if refused:
            raise CommandError(f"{refused} of {len(results)} rows were refused.")


def _table(results: list[Imported]) -> str:
    rows = [("line", "order", "tracking", "result", "why")]
    rows += [
        (str(r.line), printable(r.number), printable(r.tracking), r.done.value, r.why)
        for r in results
    ]
    counts = [f"{count} {what}" for what, count in counted(results).items() if count]
    return "\n".join([*aligned(rows), ", ".join(counts) + "."])
