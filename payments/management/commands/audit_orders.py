from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from checkout.orders.models import Order
from payments.audit import as_json, as_text, audit_database, audit_gateway
from payments.gateways import load_gateway
from payments.gateways.base import GatewayError


class Command(BaseCommand):
    help = (
        "Check the promises (I1 to I8 in docs/architecture.md) against the database and the "
        "gateway's list. Exits with 1 when one is broken, or the gateway could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        parser.add_argument("--no-gateway", action="store_true", help="Check the database alone.")

    def handle(self, *args: Any, **options: Any) -> None:
        now, gateway_error = timezone.now(), ""
        findings = list(audit_database(now))
        try:
            if not options["no_gateway"]:
                findings += audit_gateway(load_gateway(), now=timezone.now())
        except GatewayError as error:
            gateway_error = f"{type(error).__name__}: {error.code}"
        orders = Order.objects.count()
        if options["json"]:
            self.stdout.write(as_json(findings, orders=orders, gateway_error=gateway_error))
        else:
            self.stdout.write(as_text(findings, orders=orders))
        if any(finding.count for finding in findings):
            raise CommandError("The books are not in order; the rows are named above.")
        if gateway_error:
            raise CommandError(f"The gateway could not be asked ({gateway_error}).")
