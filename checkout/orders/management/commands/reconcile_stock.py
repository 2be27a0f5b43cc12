from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.stock.differences import count_differences, record_differences

BY_AN_OLDER_RELEASE = "Written by the release before"


class Command(BaseCommand):
    help = (
        "Compare the movements of the stock with the stock and with what each order holds. Exits "
        "with 1 when they differ. `--repair` adds the movements that are missing and changes no "
        "stock. Use it after an upgrade, once the last process of a release without movements has "
        "ended."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--repair", action="store_true", help="Add the movements that are missing."
        )
        parser.add_argument("--by", default="", help="Your name, which is kept with each movement.")
        parser.add_argument(
            "--why",
            default=BY_AN_OLDER_RELEASE,
            help=f'Your reason, which is kept too (default "{BY_AN_OLDER_RELEASE}").',
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["repair"]:
            found = record_differences(by=options["by"], why=options["why"])
            words = "Added movements for {} lines of orders and {} products."
        else:
            found = count_differences()
            words = "Movements are missing for {} lines of orders and {} products."
        self.stdout.write(words.format(found.of_orders, found.of_products))
        if found and not options["repair"]:
            raise CommandError("`audit_orders` names them; `--repair` records them.")
