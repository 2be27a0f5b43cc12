from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.models import Order
from checkout.orders.queue.sqs import QUEUE_ERRORS, PaymentsQueue, QueueMissing
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_json, progress_on
from payments.books.audit import Finding, as_json, as_text, audit_database
from payments.books.card_numbers import audit_card_numbers
from payments.books.gateway_audit import audit_gateway
from payments.books.queue_audit import audit_queue
from payments.gateways.base import GatewayError
from payments.gateways.load import Gateways


class Command(BaseCommand):
    help = (
        "Check the promises (I1 to I13 in docs/architecture.md) against the database, the "
        "gateways' lists and the queue. Exits with 1 when a promise is broken, or the gateway or "
        "the queue could not be asked. An order that names this installation at the gateway and is "
        "not here is a lost order, which breaks I2 until a person has seen to it; payments of "
        "others on the account are counted and left alone. Takes nearly the same memory for a "
        "thousand orders and for a million."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)
        parser.add_argument("--no-gateway", action="store_true", help="Leave the gateway out.")
        parser.add_argument("--no-queue", action="store_true", help="Leave the queue out.")

    def handle(self, *args: Any, **options: Any) -> None:
        progress = progress_on(self.stderr, "checks done")
        findings: list[Finding] = []
        not_asked: dict[str, str] = {}
        for finding in audit_database(database_now()):
            findings.append(finding)
            progress(len(findings))
        findings.append(audit_card_numbers())
        if not options["no_gateway"]:
            compared = progress_on(self.stderr, "payments at the gateway compared")
            try:
                findings += audit_gateway(Gateways.load(), now=database_now(), progress=compared)
            except GatewayError as error:
                not_asked["gateway"] = f"{type(error).__name__}: {error.code}"
        if not options["no_queue"]:
            try:
                findings.append(audit_queue(PaymentsQueue.connect(), now=database_now()))
            except (QueueMissing, *QUEUE_ERRORS) as error:
                not_asked["queue"] = type(error).__name__
        orders = Order.objects.count()
        if options["json"]:
            self.stdout.write(as_json(findings, orders=orders, not_asked=not_asked))
        else:
            self.stdout.write(as_text(findings, orders=orders))
        if any(finding.count for finding in findings):
            raise CommandError("The books are not in order; the rows are named above.")
        if not_asked:
            names = ", ".join(f"{name} ({why})" for name, why in not_asked.items())
            raise CommandError(f"Some promises were not checked. Could not be asked: {names}.")
