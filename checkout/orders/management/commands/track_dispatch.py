from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.dispatch.track import not_recorded_since, track_dispatch
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_by,
    add_json,
    add_yes,
    as_json,
    moment,
    must_agree,
    progress_on,
)


class Command(BaseCommand):
    help = (
        "Put paid orders on the list of what is to be sent that were placed before this shop wrote "
        "down what it sends. --since is the time from which you know that nothing was sent; orders "
        "placed before it stay off the list. Run it once, after the upgrade; it may be repeated."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since",
            type=moment,
            required=True,
            metavar="TIME",
            help="Orders placed since then: 36h, 14d or 2026-11-01T12:00.",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count the orders.")
        add_by(parser)
        add_yes(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        since, count = options["since"], not_recorded_since(options["since"]).count()
        tracked = 0
        if count and not options["dry_run"]:
            question = f"Put {count} paid orders on the list of what is to be sent?"
            must_agree(question, self.stderr, yes=options["yes"])
            progress = progress_on(self.stderr, f"of {count} orders")
            for tracked in track_dispatch(since, by=options["by"], now=database_now()):
                progress(tracked)
        found = count if options["dry_run"] else tracked
        payload = {"dry_run": options["dry_run"], "orders": found}
        words = "would be put" if options["dry_run"] else "were put"
        told = f"{found} orders {words} on the list of what is to be sent."
        self.stdout.write(as_json(payload) if options["json"] else told)
