from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.operations.liveness import add_liveness_arguments, start_reporting
from checkout.orders.webhooks import sender
from checkout.runtime.loop import stop_signals


class Command(BaseCommand):
    help = (
        "Send webhooks about orders to the endpoints of `webhook_endpoints`. Any number of senders "
        "may run, and an endpoint that is slow or away delays nothing else. Ends on SIGTERM with "
        "exit code 0, within half a minute."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_liveness_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with stop_signals() as stopping:
            alive = start_reporting("webhook_sender", options)
            self.stdout.write("Sending webhooks")
            sender.run(stopping, alive)
        self.stdout.write("Webhook sender stopped.")
