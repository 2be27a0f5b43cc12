from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

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
        if not settings.SHOP_URL:
            raise CommandError(
                "SHOP_URL is not set, and every e-mail holds a link to its order. Set it to the "
                "shop's address from outside, such as https://shop.example."
            )
        with stop_signals() as stopping:
            alive = start_reporting("mailer", options)
            self.stdout.write(f"Sending e-mail from {settings.DEFAULT_FROM_EMAIL}")
            mailer.run(stopping, alive)
        self.stdout.write("Mailer stopped.")
