from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.outbox.sweep import expire_unpaid
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_json, as_json, progress_on


class Command(BaseCommand):
    help = (
        "Have the worker cancel the orders whose customers did not pay in time "
        "(UNPAID_ORDER_EXPIRES_SECONDS). The publisher does this every minute; the command does it "
        "now. The worker asks the gateway first, and an order whose payment arrives is paid."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        expired = 0
        progress = progress_on(self.stderr, "orders handed over")
        while asked := expire_unpaid(now=database_now()):
            expired += asked
            progress(expired)
        words = f"{expired} unpaid orders were handed to the worker."
        self.stdout.write(as_json({"expired": expired}) if options["json"] else words)
