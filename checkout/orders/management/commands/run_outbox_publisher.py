from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations.liveness import add_liveness_arguments, start_reporting
from checkout.orders.outbox import publisher
from checkout.orders.queue.sqs import QueueMissing, connect_when_reachable
from checkout.runtime.loop import stop_signals


class Command(BaseCommand):
    help = (
        "Publish stored messages to the SQS queue, and look every minute for orders that were "
        "forgotten. Any number of publishers may run. Ends on SIGTERM with exit code 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_liveness_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        with stop_signals() as stopping:
            alive = start_reporting("publisher", options)
            try:
                queue = connect_when_reachable(stopping, on_try=publisher.on_waiting_for_sqs(alive))
            except QueueMissing as error:
                raise CommandError(str(error)) from error
            if queue:
                self.stdout.write(f"Publishing to {queue.url}")
                publisher.run(queue, stopping, alive)
        self.stdout.write("Publisher stopped.")
