from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations.queue_status import (
    as_text,
    database_status,
    hints,
    queue_status,
)
from checkout.orders.queue.sqs import QUEUE_ERRORS, PaymentsQueue, QueueMissing
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_json, as_json


class Command(BaseCommand):
    help = (
        "Show what waits in the queue, the dead-letter queue and the outbox and since when, the "
        "orders by state, and whether payments are paused. Changes nothing. Exits with 1 when SQS "
        "could not be asked, and prints what the database knows all the same."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        database = database_status(now=database_now())
        queue, problem = None, ""
        try:
            queue = queue_status(PaymentsQueue.connect())
        except QueueMissing as error:
            problem = str(error)
        except QUEUE_ERRORS as error:
            problem = f"SQS does not answer ({type(error).__name__})."
        status = {
            "database": database,
            "queue": queue,
            "queue_problem": problem,
            "hints": hints(database, queue),
        }
        words = as_text(database, queue, problem)
        self.stdout.write(as_json(status) if options["json"] else words)
        if problem:
            raise CommandError(problem)
