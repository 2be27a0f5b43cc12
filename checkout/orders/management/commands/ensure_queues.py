from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.queue.setup import ensure_queues
from checkout.orders.queue.sqs import QUEUE_ERRORS
from checkout.runtime.terminal import add_json, as_json


class Command(BaseCommand):
    help = (
        "Create the payments queue and its dead-letter queue, or verify those that exist. Exits "
        "with 1 when a queue differs from what the product needs, and changes nothing then."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            reports = ensure_queues()
        except QUEUE_ERRORS as error:
            raise CommandError(
                f"SQS does not answer ({type(error).__name__}). Is AWS_ENDPOINT_URL right, and "
                "are there credentials for AWS_REGION?"
            ) from error
        words = []
        for report in reports:
            state = "created" if report.created else "there already"
            words += [f"{report.name}: {state}", *(f"  {each}" for each in report.differences)]
        self.stdout.write(as_json(reports) if options["json"] else "\n".join(words))
        if any(report.differences for report in reports):
            raise CommandError(
                "A queue differs from what the shop needs. Set its attributes in AWS, and run this "
                "again."
            )
