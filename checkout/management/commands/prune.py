from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.outbox.prune import prune_outbox
from checkout.orders.privacy.too_old import erase_too_old
from checkout.runtime.clock import database_now
from checkout.runtime.retention import ENDS, prune
from checkout.runtime.terminal import add_json, aligned, as_json, progress_on

OUTBOX, OUTBOX_AFTER = "orders.OutboxMessage", timedelta(days=30)


class Command(BaseCommand):
    help = (
        "Delete what is no longer needed: expired sessions, carts that nobody changed for 90 days, "
        "old messages, records of wrong passwords and the like. Orders and what belongs to them "
        "stay; their customers' names and addresses are erased after PERSONAL_DATA_YEARS, if that "
        "is set. Let cron run this once a day. The command works in short transactions beside the "
        "running shop; you may kill and repeat it at any moment."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Only count the rows.")
        add_json(parser)
        parser.add_argument("--list", action="store_true", help="Say what ends each table's rows.")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["list"]:
            self._list(options)
            return
        now, dry_run, deleted = database_now(), options["dry_run"], {}
        for name, end in sorted(ENDS.items()):
            progress = progress_on(self.stderr, name)
            if name == OUTBOX:
                before = now - OUTBOX_AFTER
                deleted[name] = prune_outbox(
                    before=before, dry_run=dry_run, progress=progress
                ).deleted
            elif end.ended:
                deleted[name] = prune(end, now=now, dry_run=dry_run, progress=progress)
        progress = progress_on(self.stderr, "orders erased")
        erased = erase_too_old(now=now, dry_run=dry_run, progress=progress)
        heading = "would be deleted" if dry_run else "deleted"
        rows = [["table", heading], *([name, str(count)] for name, count in deleted.items())]
        rows.append(["orders.Order, only its personal data", str(erased)])
        result = {"dry_run": dry_run, "rows": deleted, "orders_erased": erased}
        self.stdout.write(as_json(result) if options["json"] else "\n".join(aligned(rows)))

    def _list(self, options: dict[str, Any]) -> None:
        ends = {
            name: {"after_days": end.after.days if end.after else None, "why": end.why}
            for name, end in sorted(ENDS.items())
        }
        rows = [["table", "ends after", "why"]]
        for name, end in ends.items():
            days = end["after_days"]
            rows.append([name, f"{days} d" if days else "-", str(end["why"])])
        self.stdout.write(as_json(ends) if options["json"] else "\n".join(aligned(rows)))
