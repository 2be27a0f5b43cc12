"""Mollie's amounts, which are texts with all decimals of their currency.

Mollie API reference, "Amounts", and docs.mollie.com, "Multicurrency". Both sides of the gateway
load this module, so it loads nothing that calls Mollie.
"""

from decimal import Decimal, InvalidOperation

from moneyed import CurrencyDoesNotExist

from checkout.catalogue.amounts import AmountLimits
from checkout.catalogue.money import minor_units, money, plain

TAKEN = frozenset(
    "AED AUD BGN BRL CAD CHF CZK DKK EUR GBP HKD HUF ILS ISK JPY MXN MYR NOK NZD PHP PLN RON RUB "  # noqa: SIM905 - read as the page lists them
    "SEK SGD THB TWD USD ZAR".split()
)

# The least that any method takes. A method's own limits are higher, and Mollie says so.
SMALLEST_MINOR = 1
LARGEST_MINOR = 1_000_000_00


def limits(currency: str) -> AmountLimits | None:
    if currency not in TAKEN:
        return None
    return AmountLimits(smallest_minor=SMALLEST_MINOR, largest_minor=LARGEST_MINOR)


def to_mollie(amount_minor: int, currency: str) -> dict[str, str]:
    return {"currency": currency, "value": plain(money(amount_minor, currency))}


def from_mollie(amount: dict[str, str]) -> int:
    """In the currency's minor unit. Raises ValueError for what is no amount."""
    try:
        return minor_units(Decimal(amount["value"]), amount["currency"])
    except (InvalidOperation, KeyError, TypeError, CurrencyDoesNotExist) as error:
        raise ValueError("no amount") from error
