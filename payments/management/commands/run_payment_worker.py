import os
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.liveness import add_watching, watched
from checkout.orders.queue import MAX_WAIT_SECONDS, QueueMissing, connect_when_reachable
from checkout.orders.queue_setup import dead_letter_problem
from checkout.orders.running import stop_signals
from payments.gateways import load_gateway
from payments.worker.worker import Worker


class Command(BaseCommand):
    help = (
        "Receive messages from the SQS queue and settle the payments of their orders. Any number "
        "may run. SIGTERM lets it finish what is in hand (60 s at most) and ends it with exit "
        "code 0; a second signal ends it at once, which loses nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--threads", type=int, default=20, help="Payments settled at a time (default 20)."
        )
        parser.add_argument(
            "--wait-seconds",
            type=int,
            default=5,
            choices=range(MAX_WAIT_SECONDS + 1),
            metavar=f"0-{MAX_WAIT_SECONDS}",
            help="How long one receive waits for a message (default 5).",
        )

        add_watching(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        wait_seconds = options["wait_seconds"]
        with stop_signals() as stopping:
            alive = watched(
                "worker",
                alive_file=options["alive_file"],
                metrics_port=options["metrics_port"],
            )
            try:
                queue = connect_when_reachable(
                    stopping, wait_seconds=wait_seconds, on_try=alive.beat
                )
            except QueueMissing as error:
                raise CommandError(str(error)) from error
            if queue:
                if problem := dead_letter_problem(queue.url):
                    raise CommandError(problem)
                self.stdout.write(f"Receiving from {queue.url}")
                worker = Worker(
                    queue,
                    load_gateway(),
                    threads=options["threads"],
                    wait_seconds=wait_seconds,
                    alive=alive,
                )
                if left := worker.run(stopping):
                    # Their threads would keep the process alive; their messages are visible again.
                    self.stdout.write(f"Worker stopped, {left} payments left to other workers.")
                    self.stdout.flush()
                    os._exit(0)
        self.stdout.write("Worker stopped.")
