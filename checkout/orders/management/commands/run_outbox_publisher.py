from typing import Any

from django.core.management.base import BaseCommand, CommandError

from checkout.orders import publisher
from checkout.orders.queue import QueueMissing, connect_when_reachable
from checkout.orders.running import stop_signals


class Command(BaseCommand):
    help = (
        "Publish stored messages to the SQS queue, and look every minute for orders that were "
        "forgotten. Any number may run. Ends on SIGTERM, with exit code 0."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        with stop_signals() as stopping:
            try:
                queue = connect_when_reachable(stopping)
            except QueueMissing as error:
                raise CommandError(str(error)) from error
            if queue:
                self.stdout.write(f"Publishing to {queue.url}")
                publisher.run(queue, stopping)
        self.stdout.write("Publisher stopped.")
