import json
import re
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from payments.gateways import load_gateway
from payments.gateways.base import GatewayError
from payments.reconciliation import differences, repair


class Command(BaseCommand):
    help = (
        "Compare the gateway's list of charges and refunds with our books. Exits with 1 and names "
        "every difference that remains."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--since", default="72h", help="36h, 14d or 2026-11-01 (default 72h).")
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        parser.add_argument(
            "--repair",
            action="store_true",
            help="Do what is safe: record charges for their own orders, cancel orphans, take over "
            "refunds. The rest is for a person.",
        )
        parser.add_argument("--yes", action="store_true", help="Repair without asking.")

    def handle(self, *args: Any, **options: Any) -> None:
        since, gateway = _since(options["since"], timezone.now()), load_gateway()
        done: dict[str, str] = {}
        try:
            found = list(differences(gateway, since=since, now=timezone.now()))
            if options["repair"] and found and (options["yes"] or self._agreed(len(found))):
                for difference, what in repair(gateway, found, clock=timezone.now):
                    done[difference.gateway_id] = what
        except GatewayError as error:
            raise CommandError(f"The gateway could not be asked ({error.code}).") from error
        rows = [asdict(d) | {"repaired": done.get(d.gateway_id, "")} for d in found]
        remaining = sum(not row["repaired"] or row["repaired"].startswith("not") for row in rows)
        if options["json"]:
            report = {"since": since.isoformat(), "differences": rows, "remaining": remaining}
            self.stdout.write(json.dumps(report, indent=2))
        else:
            for row in rows:
                self.stdout.write("  ".join(str(value) for value in row.values() if value))
            self.stdout.write(f"{len(rows)} differences since {since:%Y-%m-%d %H:%M}.")
        if remaining:
            raise CommandError(f"{remaining} differences are for a person.")

    def _agreed(self, count: int) -> bool:
        try:
            return input(f"Repair what is safe of {count} differences? [y/N] ").lower() == "y"
        except EOFError:
            raise CommandError("Nobody to ask. Repair with --yes.", returncode=2) from None


def _since(text: str, now: datetime) -> datetime:
    if match := re.fullmatch(r"(\d{1,6})([hd])", text):
        return now - timedelta(hours=int(match[1]) * (24 if match[2] == "d" else 1))
    try:
        if day := parse_date(text):
            return timezone.make_aware(datetime(day.year, day.month, day.day))  # noqa: DTZ001 - made aware here
    except ValueError:
        pass
    raise CommandError(f"--since {text} is neither 36h nor 14d nor 2026-11-01.")
