from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.mail.send_again import given_up_since, mails_of, send_again
from checkout.orders.models import Mail
from checkout.orders.numbers import parse_order_number
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, add_json, as_json, moment, progress_on, reason


class Command(BaseCommand):
    help = (
        "Have e-mails sent once more. --since takes all that were given up since then, as when the "
        "mail server was away for a week. --order takes those of one order, as after its address "
        "was corrected. Each e-mail goes to the address that stands in the order now."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument(
            "--since", type=moment, metavar="TIME", help="Since when: 36h, 14d or 2026-11-01."
        )
        which.add_argument(
            "--order", metavar="NUMBER", help="The order whose e-mails are sent again."
        )
        parser.add_argument("--kind", action="append", choices=Mail.Kind.values, default=[])
        parser.add_argument(
            "--reason", type=reason, required=True, help="Your reason, kept with each order."
        )
        add_by(parser)
        parser.add_argument("--dry-run", action="store_true", help="Only count the e-mails.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if options["order"]:
            found = mails_of(parse_order_number(options["order"]) or "")
        else:
            found = given_up_since(options["since"])
        mails = found.filter(kind__in=options["kind"]) if options["kind"] else found
        if options["order"] and not mails.exists():
            raise CommandError("No such e-mail of that order was sent or given up before.")
        progress, again = progress_on(self.stderr, "e-mails put back"), 0
        for mail in mails.iterator() if not options["dry_run"] else ():
            again += send_again(mail, by=options["by"], why=options["reason"], now=database_now())
            progress(again)
        count = mails.count() if options["dry_run"] else again
        payload = {"dry_run": options["dry_run"], "mails": count}
        words = "would be sent again" if options["dry_run"] else "go out again"
        self.stdout.write(as_json(payload) if options["json"] else f"{count} e-mails {words}.")
