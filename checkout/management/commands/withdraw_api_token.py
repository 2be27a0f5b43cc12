from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.api.authentication import tokens_of
from checkout.user_input.whole_numbers import whole_argument


class Command(BaseCommand):
    help = "End the tokens of an API client at once: all of them, or one by its number."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument(
            "--id",
            type=whole_argument(),
            help="The number that create_api_client and the admin show.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        tokens = tokens_of(options["name"])
        if options["id"] is not None:
            tokens = tokens.filter(pk=options["id"])
        withdrawn, _ = tokens.delete()
        if not withdrawn:
            raise CommandError("There is no such token.")
        self.stdout.write(
            f"{withdrawn} tokens were withdrawn. The client's orders and keys are kept."
        )
