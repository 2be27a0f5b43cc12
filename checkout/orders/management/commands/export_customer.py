from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.privacy.person import export_person, is_empty
from checkout.orders.privacy.text import as_text
from checkout.runtime.terminal import add_json, as_json


class Command(BaseCommand):
    help = (
        "Print everything that is stored of a person: account, orders, mails, withdrawals, "
        "payments, invoices. Give it to that person alone, once you know that it is they who ask. "
        "Orders are found by their address, and by the account that placed them. Exits with 1 when "
        "nothing is stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="The person's e-mail address, in any spelling.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        document = export_person(options["email"])
        if is_empty(document):
            raise CommandError("Nothing is stored under this address.")
        self.stdout.write(as_json(document) if options["json"] else as_text(document))
