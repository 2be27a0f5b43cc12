import json
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.pausing import current_pause, pause_payments
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, reason


class Command(BaseCommand):
    help = (
        "Stop all workers from calling the gateway, within seconds. Customers go on placing "
        "orders, which are paid after `resume_payments`. A call that is in flight is finished. If "
        "payments are paused already, the first reason stands."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--reason", type=reason, required=True, help="Your reason, without customer data."
        )
        parser.add_argument("--json", action="store_true", help="Print the result as JSON.")
        add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        begun = pause_payments(reason=options["reason"], by=options["by"], now=database_now())
        pause = current_pause()
        payload = {
            "paused": pause is not None,
            "was_paused_already": not begun,
            "since": pause.paused_at.isoformat() if pause else None,
            "by": pause.paused_by if pause else None,
            "reason": pause.reason if pause else None,
        }
        if options["json"]:
            self.stdout.write(json.dumps(payload, indent=2))
        elif begun:
            self.stdout.write("Payments are paused. `resume_payments` lets them go on.")
        else:
            self.stdout.write(
                f"Payments were paused already, since {payload['since']} by {payload['by']}: "
                f"{payload['reason']}"
            )
