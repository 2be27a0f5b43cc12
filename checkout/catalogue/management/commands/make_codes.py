import json
import re
from argparse import ArgumentTypeError
from datetime import date
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import transaction
from django.utils import timezone

from checkout.catalogue.models import DiscountCode
from checkout.catalogue.rules.codes import LONGEST_PREFIX, faults_of_code, make_codes
from checkout.catalogue.typed_amounts import UnreadableAmount, read_amount
from checkout.runtime.terminal import add_json
from checkout.user_input.card_numbers import has_card_number
from checkout.user_input.whole_numbers import whole_argument

Kind = DiscountCode.Kind

# What fits into the columns of the database.
MOST_USES = 2**31 - 1
MOST_CODES = 10_000_000


class Command(BaseCommand):
    help = (
        "Make discount codes that nobody can guess, store them, and print one on each line, which "
        "is CSV of one column. Each is for one order unless --limit says otherwise. Either all of "
        "them are stored or, after a wrong argument or an interruption, none."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        gives = parser.add_mutually_exclusive_group(required=True)
        gives.add_argument("--percent", type=_percent, help="Takes so much off the goods: 10.")
        gives.add_argument(
            "--amount", type=_amount, help="Takes this off the goods, in the main unit: 5.50."
        )
        gives.add_argument("--free-delivery", action="store_true", help="Makes delivery free.")
        count, uses = (
            whole_argument(least=1, most=MOST_CODES),
            whole_argument(least=1, most=MOST_USES),
        )
        parser.add_argument(
            "--count", type=count, default=1, help="How many codes (default: %(default)s)."
        )
        parser.add_argument(
            "--limit", type=uses, default=1, help="Orders of each code (default: %(default)s)."
        )
        parser.add_argument("--per-customer", type=uses, help="Orders of one customer with a code.")
        parser.add_argument("--from", type=_day, dest="starts_on", help="First day: 2026-12-01.")
        parser.add_argument("--until", type=_day, dest="ends_on", help="Last day: 2026-12-31.")
        parser.add_argument(
            "--least-goods", type=_amount, default=0, help="Only for goods worth this much: 40."
        )
        parser.add_argument("--prefix", type=_prefix, default="", help="Each code begins so: XMAS.")
        parser.add_argument("--note", type=_note, default="", help="For staff: what they are for.")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        like = _code_like(options)
        if faults := [*faults_of_code(like).values()]:
            raise CommandError(" ".join(faults))
        if like.ends_on and like.ends_on < timezone.localdate():
            raise CommandError(f"--until {like.ends_on} has passed, so nobody could use a code.")
        with transaction.atomic():
            codes = make_codes(like, count=options["count"], prefix=options["prefix"])
        # Printed after the commit: no code is given out that is not stored.
        self.stdout.write(json.dumps(codes) if options["json"] else "\n".join(codes))


def _code_like(options: dict[str, Any]) -> DiscountCode:
    kind = Kind.FREE_DELIVERY
    if options["percent"] is not None:
        kind = Kind.PERCENT
    elif options["amount"] is not None:
        kind = Kind.AMOUNT
    return DiscountCode(
        kind=kind,
        percent=options["percent"],
        amount_minor=options["amount"],
        least_goods_minor=options["least_goods"],
        starts_on=options["starts_on"],
        ends_on=options["ends_on"],
        limit=options["limit"],
        per_customer=options["per_customer"],
        note=options["note"],
    )


def _percent(written: str) -> Decimal:
    if not re.fullmatch(r"[0-9]{1,3}(\.[0-9]{1,3})?", written) or not 0 < Decimal(written) <= 100:
        raise ArgumentTypeError(
            f"{written!r} is not a percentage above 0 and up to 100, as 12.5 is."
        )
    return Decimal(written)


def _amount(written: str) -> int:
    try:
        return read_amount(written, settings.SHOP_CURRENCY)
    except UnreadableAmount as unreadable:
        raise ArgumentTypeError(str(unreadable)) from None


def _day(written: str) -> date:
    try:
        if re.fullmatch(r"\d{4}-\d\d-\d\d", written, re.ASCII):
            return date.fromisoformat(written)
    except ValueError:
        pass
    raise ArgumentTypeError(f"{written!r} is not a day such as 2026-12-31.")


def _prefix(written: str) -> str:
    prefix = written.upper()
    if not re.fullmatch(r"([A-Z0-9]+(-[A-Z0-9]+)*)?", prefix) or len(prefix) > LONGEST_PREFIX:
        raise ArgumentTypeError(
            f"A prefix is 1 to {LONGEST_PREFIX} letters A to Z and digits, with hyphens between."
        )
    return prefix


def _note(written: str) -> str:
    note = " ".join(written.split())
    if not note.isprintable() or len(note) > 200:
        raise ArgumentTypeError("A note is one line of at most 200 characters.")
    if has_card_number(note):
        raise ArgumentTypeError("There is a card number in the note. Leave it out.")
    return note
