from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from checkout.orders.identity.installation import installation_id, renew_installation
from checkout.runtime.terminal import add_json, add_yes, as_json, must_agree


class Command(BaseCommand):
    help = (
        "Draw a new id for this installation. Use it for a copy of a database that is to run "
        "beside its original, and never for a restored backup, which stays the installation that "
        "it was. What the gateway and the queue hold under the old id belongs to the original "
        "from then on. Run this before any other process of the copy, and give the copy a queue "
        "and a gateway key of its own: unpaid orders are in both databases, and each would charge "
        "them."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)
        add_yes(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        before = installation_id()
        must_agree(
            f"Draw a new id in place of {before}? Payments that name the old id, and whose own ids "
            "are not stored in this database, will count as another installation's.",
            self.stderr,
            yes=options["yes"],
        )
        new = renew_installation()
        words = f"This installation is {new} from now on. Restart its processes."
        result = {"before": before, "installation": new}
        self.stdout.write(as_json(result) if options["json"] else words)
