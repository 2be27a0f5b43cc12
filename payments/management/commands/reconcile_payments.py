import sys
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.runtime.clock import database_now
from checkout.runtime.terminal import moment, progress_on
from payments.books.repair import Report, is_repairable, reconcile
from payments.books.report import as_json, as_table, table
from payments.gateways.base import GatewayError
from payments.gateways.load import Gateways

# No gateway is asked about times before there were any.
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)


class Command(BaseCommand):
    help = (
        "Compare each gateway's list of payments and refunds with our books. Exits with 1 and "
        "names what still differs. `--repair` records charges, cancels what nobody waits for and "
        "takes over refunds; all else is for a person. A payment is ours if its id is stored here, "
        "or if it names this installation. If it names this installation and an order that is not "
        "here, that is a lost order (a restored backup): a difference that no repair touches, "
        "noted in the admin for a person. All others are strangers': counted and left alone."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="72h", help="36h, 14d or 2026-11-01 (default 72h).")
        parser.add_argument(
            "--json",
            action="store_true",
            help="Print the result as JSON, with lost orders by reference and strangers' count.",
        )
        parser.add_argument(
            "--strangers", action="store_true", help="List the payments of others too."
        )
        parser.add_argument("--repair", action="store_true", help="Do what is safe; ask before.")
        parser.add_argument("--yes", action="store_true", help="Repair without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["repair"] and not options["yes"] and not sys.stdin.isatty():
            raise CommandError("Nobody to ask. Repair with --yes.", returncode=2)
        since = _since(options["since"])
        try:
            report = reconcile(
                Gateways.load(),
                since=since,
                clock=database_now,
                may_repair=self._consent(repair=options["repair"], yes=options["yes"]),
                lists_strangers=options["strangers"],
                progress=progress_on(self.stderr, "compared"),
            )
        except GatewayError as error:
            raise CommandError(f"The gateway could not be asked ({error.code}).") from error
        self.stdout.write((as_json if options["json"] else as_table)(report, since=since))
        if report.remaining:
            raise CommandError(f"{len(report.remaining)} differences are for a person.")

    def _consent(self, *, repair: bool, yes: bool) -> Callable[[Report], bool]:
        def ask(report: Report) -> bool:
            safe = sum(map(is_repairable, report.found))
            lines = [*table(report), f"Repair {safe} of {len(report.found)} differences? [y/N] "]
            self.stderr.write("\n".join(lines), style_func=str, ending="")
            return sys.stdin.readline().strip().lower() in {"y", "yes"}

        return ask if repair and not yes else lambda report: repair


def _since(written: str) -> datetime:
    """The exit code of a time that cannot be read is 1 and not argparse's 2, so this is no type."""
    try:
        since = moment(written)
    except ArgumentTypeError as error:
        raise CommandError(f"--since: {error}") from error
    if not EARLIEST <= since < database_now():
        raise CommandError(f"--since {written} is before there were gateways, or not in the past.")
    return since
