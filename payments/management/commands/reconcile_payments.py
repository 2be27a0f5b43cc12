import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.runtime.clock import database_now
from checkout.runtime.terminal import progress_on
from payments.books import compare as r
from payments.gateways import load_gateway
from payments.gateways.base import GatewayError


class Command(BaseCommand):
    help = (
        "Compare the gateway's list of payments and refunds with our books. Exits with 1 and names "
        "what still differs. `--repair` records charges, cancels what nobody waits for and takes "
        "over refunds; all else is for a person. A payment is ours if its id is stored here, or if "
        "it names this installation. If it names this installation and an order that is not here, "
        "that is a lost order (a restored backup): a difference that no repair touches, noted in "
        "the admin for a person. All others are strangers': counted and left alone."
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
        consent = r.consent(self.stderr, repair=options["repair"], yes=options["yes"])
        try:
            since = r.since_when(options["since"], database_now())
            gateway, progress = load_gateway(), progress_on(self.stderr, "compared")
            report = r.reconcile(
                gateway,
                since=since,
                clock=database_now,
                may_repair=consent,
                lists_strangers=options["strangers"],
                progress=progress,
            )
        except r.UnreadableSince as error:
            raise CommandError(str(error)) from error
        except GatewayError as error:
            raise CommandError(f"The gateway could not be asked ({error.code}).") from error
        self.stdout.write((r.as_json if options["json"] else r.as_table)(report, since=since))
        if report.remaining:
            raise CommandError(f"{len(report.remaining)} differences are for a person.")
