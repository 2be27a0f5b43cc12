"""Money is stored as a whole number of the currency's minor unit, and shown through py-moneyed."""

from decimal import Decimal

from moneyed import Money, get_currency


def money(amount_minor: int, currency: str) -> Money:
    """`money(1250, "EUR")` is €12.50; `money(1250, "JPY")` is ¥1,250."""
    unit = get_currency(currency)
    return Money(Decimal(amount_minor) / unit.sub_unit, unit)
