from typing import Any

from checkout.orders.mail.mailer import must_know_the_shops_address
from payments.management.commands import run_payment_worker


class Command(run_payment_worker.Command):
    help = (
        "Run everything that a shop of one machine needs beside its web processes: workers, and "
        "one process that publishes to the queue and sends mails and webhooks. A parent starts "
        "these processes and replaces those that die. It takes the place of run_payment_worker, "
        "run_outbox_publisher, run_mailer and run_webhook_sender, any of which may run beside it. "
        "SIGTERM lets it finish what is in flight (60 s at most) and ends it with exit code 0; a "
        "second signal ends it at once, which loses nothing."
    )
    stopped = "Services stopped."
    sends_too = True

    def handle(self, *args: Any, **options: Any) -> None:
        must_know_the_shops_address()
        super().handle(*args, **options)
