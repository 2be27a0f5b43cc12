from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.outbox.prune import prune_outbox
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_json, as_json, progress_on, span


class Command(BaseCommand):
    help = (
        "Delete old outbox messages that were published and whose orders are final and wait for "
        "nobody. Orders, their history, payments and mails stay. The command works in short "
        "transactions beside the running shop; you may kill and repeat it at any moment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than",
            type=span,
            default=timedelta(days=30),
            help="Delete what was published longer ago than this: 12h or 90d (default 30d).",
        )
        parser.add_argument("--dry-run", action="store_true", help="Only count the messages.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run, before = options["dry_run"], database_now() - options["older_than"]
        progress = progress_on(self.stderr, "messages found" if dry_run else "messages deleted")
        pruned = prune_outbox(before=before, dry_run=dry_run, progress=progress)
        result = {
            "published_before": before,
            "looked_at": pruned.looked_at,
            "deleted": 0 if dry_run else pruned.deleted,
            "would_delete": pruned.deleted if dry_run else 0,
        }
        done = "would be deleted" if dry_run else "were deleted"
        words = f"{pruned.deleted} of {pruned.looked_at} messages {done}."
        self.stdout.write(as_json(result) if options["json"] else words)
