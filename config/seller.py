"""The seller as the law asks an invoice to name them. Without a seller there are no invoices."""

import re
from collections.abc import Sequence
from typing import TypedDict
from zoneinfo import ZoneInfo

from config.environment import refuse


class Seller(TypedDict):
    """The parts of `settings.SELLER`, which every invoice keeps as they were."""

    name: str
    address: Sequence[str]
    tax_id: str
    register: str
    email: str


# Without one of these an invoice is none.
REQUIRED = ("SELLER_NAME", "SELLER_ADDRESS", "SELLER_TAX_ID")


def seller(given: dict[str, str]) -> Seller | None:
    """The seller, or None where no setting names one. `given` are the settings by name."""
    if not any(given.values()):
        return None
    for name in REQUIRED:
        if not given[name]:
            others = ", ".join(each for each, value in given.items() if value)
            refuse(name, f"is not set, and {others} is. An invoice needs {', '.join(REQUIRED)}.")
    lines = [line.strip() for line in given["SELLER_ADDRESS"].split(",")]
    if not all(lines):
        refuse("SELLER_ADDRESS", "has a comma with nothing before or after it.")
    return {
        "name": given["SELLER_NAME"],
        "address": lines,
        "tax_id": given["SELLER_TAX_ID"],
        "register": given["SELLER_REGISTER"],
        "email": given["SELLER_EMAIL"],
    }


def series(name: str, value: str) -> str:
    """The beginning of a number, which stands in addresses of pages and in names of files."""
    if not re.fullmatch("[A-Z0-9]{1,10}", value):
        refuse(name, "is one to ten capital letters and digits, such as INV.")
    return value


def time_zone(name: str, value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        refuse(name, "names no time zone. It looks like Europe/Berlin.")
    return value
