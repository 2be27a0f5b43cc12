from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from checkout.orders.privacy.erase import Erased, erase_person
from checkout.orders.privacy.person import export_person, is_empty, named_in
from checkout.runtime.clock import database_now
from checkout.runtime.terminal import (
    add_by,
    add_json,
    add_reason,
    add_yes,
    as_json,
    must_agree,
    progress_on,
)


class Command(BaseCommand):
    help = (
        "Erase what is stored of a person: names, addresses, telephone, notes, the account. "
        "Numbers, amounts, references, keys and invoices stay, as proof and for the books. Orders "
        "are found by their address, and by the account that placed them. An order that is not "
        "finished is left as it is and named with the reason: repeat the command when it is. Exits "
        "with 1 when anything was left, or nothing is stored."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email", help="The person's e-mail address, in any spelling.")
        add_reason(parser, required=True)
        add_by(parser)
        add_yes(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        email, why = options["email"], options["reason"]
        document = export_person(email)
        if is_empty(document):
            raise CommandError("Nothing is stored under this address.")
        if named_in(why, document):
            raise CommandError("The reason names the person, and it is kept. Leave the name out.")
        question = f"Erase {len(document['orders'])} orders and what is beside them? No way back."
        must_agree(question, self.stderr, yes=options["yes"])
        progress = progress_on(self.stderr, "orders looked at")
        erased = erase_person(
            email, by=options["by"], why=why, now=database_now(), progress=progress
        )
        self.stdout.write(as_json(erased) if options["json"] else _in_words(erased))
        if not erased.is_complete:
            raise CommandError("Not everything was erased. Repeat this when the reasons are gone.")


def _in_words(erased: Erased) -> str:
    lines = [f"{number}: erased" for number in erased.orders]
    lines += [f"{kept.number}: not erased, {'; '.join(kept.why)}" for kept in erased.kept_orders]
    return "\n".join([*lines, *erased.kept]) or "Erased."
