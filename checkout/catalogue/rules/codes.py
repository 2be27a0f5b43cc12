"""Discount codes as staff and operators make them."""

import secrets
from collections.abc import Sequence

from checkout.catalogue.models import DiscountCode

# Capital letters and digits without those that look alike: no 0 and O, no 1, I and L.
ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"

# 13 signs of 31 are 64 bits: whoever guesses a thousand times a second for a year finds one of a
# million codes with a chance of about one in six hundred, and the limit of guesses comes before.
GROUPS = (5, 4, 4)

# With the hyphens, so that a code fits into its column of 40.
LONGEST_PREFIX = 24

BATCH = 5_000

Kind = DiscountCode.Kind


def faults_of_code(code: DiscountCode) -> dict[str, str]:
    """What does not fit together, by the field at which it is said."""
    faults = {}
    if code.kind == Kind.PERCENT and not code.percent:
        faults["percent"] = "How many per cent does it take off? Above 0, and 100 at most."
    if code.kind == Kind.AMOUNT and not code.amount_minor:
        faults["amount_minor"] = "How much does it take off? More than nothing."
    if code.kind != Kind.PERCENT and code.percent is not None:
        faults["percent"] = "Only a code of a percentage has one. Leave it empty."
    if code.kind != Kind.AMOUNT and code.amount_minor is not None:
        faults["amount_minor"] = "Only a code of an amount has one. Leave it empty."
    if code.starts_on and code.ends_on and code.ends_on < code.starts_on:
        faults["ends_on"] = f"The last day is before the first, {code.starts_on}."
    if code.limit is not None and code.limit < code.used:
        faults["limit"] = f"{code.used} orders have it already. Allow as many, or turn it off."
    return faults


def new_code(prefix: str = "") -> str:
    """Nobody guesses it, and everybody can read it out."""
    groups = ("".join(secrets.choice(ALPHABET) for _ in range(size)) for size in GROUPS)
    return "-".join([prefix, *groups] if prefix else groups)


def make_codes(like: DiscountCode, *, count: int, prefix: str = "") -> Sequence[str]:
    """Store new codes that give what `like` gives, in batches. Call it inside a transaction, so
    that there are either all of them or none."""
    fields = [
        field.attname for field in DiscountCode._meta.concrete_fields if field.attname != "id"
    ]
    shared = {name: getattr(like, name) for name in fields}
    made: list[str] = []
    while len(made) < count:
        codes = [new_code(prefix) for _ in range(min(BATCH, count - len(made)))]
        DiscountCode.objects.bulk_create(
            [DiscountCode(**shared | {"code": code}) for code in codes]
        )
        made += codes
    return made
