from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations.cancel_orders import as_table, cancel_orders
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_by,
    add_json,
    add_reason,
    add_yes,
    as_json,
    must_agree,
    progress_on,
)


class Command(BaseCommand):
    help = (
        "Cancel orders. One that waits for its customer is cancelled by a worker, at the gateway "
        "first. A paid one of which nothing was sent is cancelled at once: its goods go on sale "
        "again, its customer is told, and a worker sends all of its money back. What was sent is "
        "left as it is. The command may be repeated, and killed: each order is cancelled once. "
        "Exits with 1 when one of the orders could not be cancelled."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("numbers", nargs="+", metavar="NUMBER", help="Order numbers.")
        add_reason(parser, required=True)
        add_json(parser)
        add_by(parser)
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        numbers = list(dict.fromkeys(options["numbers"]))
        question = f"Cancel {len(numbers)} orders? The money of those that are paid goes back."
        must_agree(question, self.stderr, yes=options["yes"])
        progress = progress_on(self.stderr, "orders looked at")
        results = []
        for result in cancel_orders(
            numbers, by=options["by"], reason=options["reason"], now=database_now()
        ):
            results.append(result)
            progress(len(results))
        failed = sum(not result.is_good for result in results)
        found = {"orders": results, "failed": failed}
        self.stdout.write(as_json(found) if options["json"] else as_table(results))
        if failed:
            raise CommandError(f"{failed} of {len(results)} orders were not cancelled.")
