from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.mail import mailer
from checkout.orders.operations.liveness import add_liveness_arguments, start_reporting
from checkout.runtime.loop import stop_signals


class Command(BaseCommand):
    help = (
        "Send the e-mails that orders have queued. Any number of mailers may run, and a slow mail "
        "server delays nothing else. Ends on SIGTERM with exit code 0."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_liveness_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        mailer.must_know_the_shops_address()
        with stop_signals() as stopping:
            alive = start_reporting("mailer", options)
            self.stdout.write(f"Sending e-mail from {settings.DEFAULT_FROM_EMAIL}")
            mailer.run(stopping, alive)
        self.stdout.write("Mailer stopped.")
