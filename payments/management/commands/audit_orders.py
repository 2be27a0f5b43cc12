import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from checkout.orders.models import Order
from payments.audit import audit_database, audit_gateway
from payments.gateways import load_gateway
from payments.gateways.base import GatewayError


class Command(BaseCommand):
    help = (
        "Check the promises (I1 to I8 in docs/architecture.md) against the database and the "
        "gateway's own list. Exits with 1 and names the rows when one is broken, or when the "
        "gateway could not be asked."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        parser.add_argument(
            "--no-gateway", action="store_true", help="Check the database alone, on purpose."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        now = timezone.now()
        findings = list(audit_database(now))
        gateway_error = ""
        if not options["no_gateway"]:
            try:
                findings += audit_gateway(load_gateway(), now=now)
            except GatewayError as error:
                gateway_error = f"{type(error).__name__}: {error.code}"
        orders = Order.objects.count()
        if options["json"]:
            report = {
                "orders": orders,
                "violations": sum(finding.count for finding in findings),
                "gateway_error": gateway_error,
                "checks": [asdict(finding) for finding in findings],
            }
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for finding in findings:
                verdict = f"{finding.count} VIOLATIONS" if finding.count else "ok"
                self.stdout.write(f"{finding.invariant}  {verdict:<14} {finding.promise}")
                for row in finding.rows:
                    self.stdout.write(f"      {row}")
            self.stdout.write(f"{orders} orders, {len(findings)} checks.")
        if any(finding.count for finding in findings):
            raise CommandError("The books are not in order; the rows are named above.")
        if gateway_error:
            raise CommandError(f"The gateway could not be asked ({gateway_error}).")
