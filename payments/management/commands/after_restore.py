from argparse import ArgumentTypeError
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.numbers import parse_order_number
from checkout.orders.pausing import current_pause
from checkout.orders.restoring.numbers import INVOICES_AT_MOST, InvoiceNumber, last_invoices_here
from checkout.orders.restoring.restores import restore_noted
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, add_json, add_yes, moment, must_agree, progress_on
from payments.gateways.base import GatewayError
from payments.gateways.load import Gateways
from payments.restoring.report import as_json, as_text
from payments.restoring.run import Wish, after_restore


class Command(BaseCommand):
    help = (
        "Run this after the database was restored from a backup, before anything else. The command "
        "pauses payments, moves the numbers of orders past all that the gateways and the queue "
        "name, puts forms from before the restore out of use, and takes over what the gateways "
        "know of orders that are here, so that nothing is charged or sent back a second time. It "
        "names every payment of an order that is lost, for a person to decide about in the admin. "
        "It changes nothing at a gateway, and may be killed and repeated: a second run changes "
        "nothing. Then look at what it says, and let payments go on by `resume_payments`. Exits "
        "with 1 where something is left for a person."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            required=True,
            help="The moment to which the database went back: 90m, 36h or 2026-11-01T12:00.",
        )
        parser.add_argument(
            "--last-invoice",
            action="append",
            default=[],
            metavar="NUMBER",
            help="The last invoice, and the last credit note, that anybody has seen: repeat it for "
            "each series. The numbers between are left out, and the audit knows of it. 000000 at "
            "its end, or the last that is here, says that nobody has seen one of the lost time.",
        )
        parser.add_argument(
            "--last-order",
            default="",
            metavar="NUMBER",
            help="The last order's number that anybody has seen, if it is beyond what is found.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would be done, and do nothing."
        )
        add_json(parser)
        add_by(parser)
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        wish = self._wish(options)
        if not wish.noted_before and not wish.dry_run:
            must_agree(
                f"Was this database restored to {wish.since:%Y-%m-%d %H:%M:%S} UTC? Payments will "
                "be paused, and forms and staff sign-ins from before put out of use.",
                self.stderr,
                yes=options["yes"],
            )
        try:
            report = after_restore(
                wish,
                Gateways.load(),
                clock=database_now,
                progress=progress_on(self.stderr, "compared"),
            )
        except GatewayError as error:
            raise CommandError(
                f"The gateway could not be asked ({error.code}). Payments stay as they are, paused "
                "or not; repeat this before you let them go on."
            ) from error
        self.stdout.write((as_json if options["json"] else as_text)(report, wish))
        if report.is_for_a_person:
            raise CommandError("Something is left for a person; it is named above.")
        if current_pause() and not options["json"]:
            self.stdout.write("Let payments go on by `manage.py resume_payments`.")

    def _wish(self, options: dict[str, Any]) -> Wish:
        since, now = _since(options["since"]), database_now()
        last_order = options["last_order"]
        if last_order and parse_order_number(last_order) is None:
            raise CommandError(f"--last-order {last_order} is no order's number.")
        noted = restore_noted(since=since)
        here = last_invoices_here(since=since, now=now)
        seen = tuple(_invoice(written) for written in options["last_invoice"])
        _must_be_likely(seen, here)
        if noted is None and not options["dry_run"]:
            _must_say_all(seen, here)
        return Wish(
            since=since,
            by=options["by"],
            noted_before=f"on {noted.found_at:%Y-%m-%d %H:%M} UTC by {noted.found_by}"
            if noted
            else "",
            dry_run=options["dry_run"],
            last_order=last_order,
            last_invoices=seen,
        )


def _since(written: str) -> datetime:
    try:
        return moment(written)
    except ArgumentTypeError as error:
        raise CommandError(f"--since: {error}") from error


def _invoice(written: str) -> InvoiceNumber:
    if (number := InvoiceNumber.read(written)) is None:
        raise CommandError(f"--last-invoice {written} is no invoice's number, as INV-2026-000123.")
    return number


def _must_be_likely(seen: tuple[InvoiceNumber, ...], here: list[InvoiceNumber]) -> None:
    last = {(number.series, number.year): number for number in here}
    for number in seen:
        if (known := last.get((number.series, number.year))) is None:
            names = ", ".join(map(str, here)) or "none"
            raise CommandError(
                f"--last-invoice {number}: no number of that series and year can be lost. The last "
                f"ones that are here: {names}."
            )
        if number.sequence > known.sequence + INVOICES_AT_MOST:
            raise CommandError(f"--last-invoice {number} is mistyped: the last here is {known}.")


def _must_say_all(seen: tuple[InvoiceNumber, ...], here: list[InvoiceNumber]) -> None:
    """A number that two documents have is a fault of the books, and nothing here can know how many
    were sent to customers in the lost time."""
    said = {(number.series, number.year) for number in seen}
    missing = [number for number in here if (number.series, number.year) not in said]
    if missing:
        names = ", ".join(map(str, missing))
        raise CommandError(
            "Say the last number that anybody has seen, by --last-invoice NUMBER for each of these "
            f"series; here the last ones are {names}. Look in the mails that were sent and in the "
            "exports of your accountant. Nothing was done.",
            returncode=2,
        )
