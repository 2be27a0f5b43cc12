from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.pausing import current_pause, pause_payments
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, add_json, add_reason, as_json


class Command(BaseCommand):
    help = (
        "Stop all workers from calling the gateway, within seconds. Customers go on placing "
        "orders, which are paid after `resume_payments`. A call that is in flight is finished. If "
        "payments are paused already, the first reason stands."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_reason(parser, required=True)
        add_json(parser)
        add_by(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        begun = pause_payments(reason=options["reason"], by=options["by"], now=database_now())
        pause = current_pause()
        result = {
            "paused": pause is not None,
            "was_paused_already": not begun,
            "since": pause and pause.paused_at,
            "by": pause and pause.paused_by,
            "reason": pause and pause.reason,
        }
        words = "Payments are paused. `resume_payments` lets them go on."
        if pause and not begun:
            words = (
                f"Payments were paused already, since {pause.paused_at.isoformat()} by "
                f"{pause.paused_by}: {pause.reason}"
            )
        self.stdout.write(as_json(result) if options["json"] else words)
