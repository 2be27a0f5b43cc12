from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.pausing import current_pause, resume_payments
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import add_by, add_json, add_yes, as_json, must_agree


class Command(BaseCommand):
    help = (
        "Let payments go on after `pause_payments`. What was ordered meanwhile is charged then, so "
        "this asks first. If payments are not paused, the command asks nothing and does nothing."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)
        add_by(parser)
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        pause = current_pause()
        if pause:
            must_agree(
                f"Payments are paused since {pause.paused_at:%Y-%m-%d %H:%M} UTC by "
                f"{pause.paused_by} ({pause.reason}). Charge what was ordered since?",
                self.stderr,
                yes=options["yes"],
            )
        resumed = resume_payments(by=options["by"], now=database_now())
        words = "Payments go on." if resumed else "Payments were not paused."
        result = {"paused": False, "was_paused": resumed}
        self.stdout.write(as_json(result) if options["json"] else words)
