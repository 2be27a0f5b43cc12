"""Money is stored as a whole number of the currency's minor unit, and shown through py-moneyed."""

from decimal import Decimal

from django.utils.translation import get_language, to_locale
from moneyed import Money, get_currency
from moneyed.l10n import format_money


def money(amount_minor: int, currency: str) -> Money:
    """`money(1250, "EUR")` is €12.50; `money(1250, "JPY")` is ¥1,250."""
    unit = get_currency(currency)
    return Money(Decimal(amount_minor) / unit.sub_unit, unit)


def minor_units(amount: Decimal, currency: str) -> int:
    """`minor_units(Decimal("12.50"), "EUR")` is 1250. ValueError is raised for half a cent."""
    units = amount * get_currency(currency).sub_unit
    if units != units.to_integral_value():
        raise ValueError(f"{currency} has no coins that small.")
    return int(units)


def minor_units_of(amount: Money) -> int:
    return minor_units(amount.amount, amount.currency.code)


def plain(amount: Money) -> str:
    """The amount as programs read it: `12.50` of euros, `1250` of yen."""
    sub_unit = get_currency(str(amount.currency)).sub_unit
    return f"{amount.amount:.{len(str(sub_unit - 1)) if sub_unit > 1 else 0}f}"


def show_money(amount: Money) -> str:
    """The amount as people read it, in the language of the request. It is never rounded: CLDR
    leaves out decimals of some currencies (LAK, MGA) that can be charged."""
    locale = to_locale(get_language() or "en")
    return format_money(amount, locale=locale, decimal_quantization=False)
