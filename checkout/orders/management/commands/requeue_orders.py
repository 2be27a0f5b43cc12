from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations import requeue
from checkout.orders.states import UNSETTLED, OrderStatus
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_by,
    add_json,
    add_reason,
    add_yes,
    as_json,
    must_agree,
    progress_on,
    span,
)


class Command(BaseCommand):
    help = (
        "Publish the messages of orders again that wait for their payment or refund, before the "
        "publisher does so by itself or their next try is due. This charges nothing twice, and an "
        "order whose message is due gets no second one. Exits with 1 when an order is unknown or "
        "needs nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("numbers", nargs="*", metavar="NUMBER", help="Order numbers.")
        parser.add_argument(
            "--state",
            type=str.lower,
            choices=sorted(UNSETTLED),
            help="Take all orders in this state, instead of numbers.",
        )
        parser.add_argument(
            "--older-than",
            type=span,
            help="With --state, take those placed longer ago than this: 90s, 2h, 3d (default 15m).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only show what would be done.")
        add_reason(parser)
        add_json(parser)
        add_by(parser)
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        now, numbers, state = database_now(), options["numbers"], options["state"]
        if bool(numbers) == bool(state) or (numbers and options["older_than"]):
            raise CommandError(
                "Give order numbers, or --state. --older-than goes with --state alone."
            )
        if state:
            before = now - (options["older_than"] or timedelta(minutes=15))
            numbers = requeue.numbers_of(OrderStatus(state), placed_before=before)
        which = f"all orders that are {state}" if state else f"{len(numbers)} orders"
        question = f"Queue {which} again? They may be charged or refunded."
        must_agree(question, self.stderr, yes=options["yes"] or options["dry_run"])
        progress = progress_on(self.stderr, "orders looked at")
        results = []
        for result in requeue.requeue_orders(
            numbers,
            by=options["by"],
            reason=options["reason"] or "",
            dry_run=options["dry_run"],
            now=now,
        ):
            results.append(result)
            progress(len(results))
        failed = sum(not result.is_good for result in results)
        found = {"orders": results, "failed": failed}
        self.stdout.write(as_json(found) if options["json"] else requeue.as_table(results))
        if failed:
            raise CommandError(f"{failed} of {len(results)} orders were not queued.")
