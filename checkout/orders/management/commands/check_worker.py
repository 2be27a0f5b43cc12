from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.operations.liveness import STALE_AFTER_SECONDS, file_problem
from checkout.user_input.whole_numbers import seconds_argument


class Command(BaseCommand):
    help = (
        "Check whether a publisher, worker, mailer or webhook sender makes progress, by its "
        "--alive-file. Exits with 1 when it does not, for a container's health check. Asks neither "
        "the database nor the queue."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--alive-file", type=Path, required=True, metavar="PATH")
        parser.add_argument(
            "--max-age",
            type=seconds_argument,
            default=STALE_AFTER_SECONDS,
            metavar="SECONDS",
            help="How old the file may be (default %(default)g).",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        path = options["alive_file"]
        if problem := file_problem(path, older_than_seconds=options["max_age"]):
            raise CommandError(problem)
        self.stdout.write("alive")
