import sys
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from payments.gateways import load_gateway
from payments.gateways.base import GatewayError
from payments.reconciliation import Reconciliation, as_json, as_table, since_when


class Command(BaseCommand):
    help = "Compare the gateway's list with our books; exits with 1 and names what still differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="72h", help="36h, 14d or 2026-11-01 (default 72h).")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        parser.add_argument("--repair", action="store_true", help="Do what is safe about it.")
        parser.add_argument("--yes", action="store_true", help="Repair without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        asks = options["repair"] and not options["yes"]
        if asks and not sys.stdin.isatty():
            raise CommandError("Nobody to ask. Repair with --yes.", returncode=2)
