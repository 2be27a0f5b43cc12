"""Amounts of money as people type them, in the currency's main unit: `12.50`, `1.234,56`.

A text that could mean two amounts is refused with a message that names both. Where only one is
possible it is taken: `12,50` is twelve and a half in every language.
"""

import re
from collections.abc import Iterator
from typing import Any

from babel.numbers import get_currency_symbol, get_decimal_symbol
from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.functional import lazy
from django.utils.translation import get_language, to_locale
from django.utils.translation import gettext as _
from moneyed import get_currency

from checkout.catalogue.money import money, show_money

# The total of an order of a hundred thousand pieces at this price still fits into its column.
LARGEST_MINOR = 10**12 - 1

LONGEST_TEXT = 40

# A point or a comma stands before the decimals, and nothing between the thousands.
PLAIN = re.compile(r"(?P<whole>0|[1-9][0-9]*)(?:(?P<point>[.,])(?P<decimals>[0-9]+))?")
# The same sign stands between all thousands; it may also be a space or Switzerland's apostrophe.
GROUPED = re.compile(
    r"(?P<whole>[1-9][0-9]{0,2}(?:(?P<group>[.,'’ \u00a0\u202f])[0-9]{3})(?:(?P=group)[0-9]{3})*)"
    r"(?:(?!(?P=group))(?P<point>[.,])(?P<decimals>[0-9]+))?"
)


class UnreadableAmount(ValueError):
    """It is not clear which amount was meant. The message is for whoever typed it."""


def read_amount(typed: str, currency: str) -> int:
    """The amount in the currency's minor unit."""
    text = _without_currency(typed.strip(), currency)
    if len(text) > LONGEST_TEXT:
        raise UnreadableAmount(_no_amount(currency))
    plain, grouped = PLAIN.fullmatch(text), GROUPED.fullmatch(text)
    if plain and grouped and not _is_decimal_here(plain["point"], currency):
        raise UnreadableAmount(_two_amounts(text, currency))
    found = plain or grouped
    if found is None:
        raise UnreadableAmount(_no_amount(currency))
    decimals = found["decimals"] or ""
    if len(decimals) > places(currency):
        raise UnreadableAmount(_too_fine(currency))
    amount_minor = int(
        re.sub(r"[^0-9]", "", found["whole"]) + decimals.ljust(places(currency), "0")
    )
    if amount_minor > LARGEST_MINOR:
        largest = show_money(money(LARGEST_MINOR, currency))
        raise UnreadableAmount(_("That is too much. The largest amount is {}.").format(largest))
    return amount_minor


def write_amount(amount_minor: int, currency: str) -> str:
    """The amount as people here type it; `read_amount` reads it back."""
    whole, minor = divmod(amount_minor, 10 ** places(currency))
    decimals = f"{minor:0{places(currency)}d}" if places(currency) else ""
    return f"{whole}{decimal_sign()}{decimals}" if decimals else str(whole)


def places(currency: str) -> int:
    """Decimals of a currency (ISO 4217): a euro has two, a yen none, a Kuwaiti dinar three."""
    return len(str(get_currency(currency).sub_unit)) - 1


def _locale() -> str:
    return to_locale(get_language() or "en")


def decimal_sign() -> str:
    return get_decimal_symbol(_locale(), numbering_system="latn")


def _is_decimal_here(point: str, currency: str) -> bool:
    """Every page writes amounts of three decimals with the decimal sign of its language."""
    return places(currency) == 3 and point == decimal_sign()


def _without_currency(text: str, currency: str) -> str:
    for sign in _signs(currency):
        if text[: len(sign)].upper() == sign:
            return text[len(sign) :].strip()
        if text[-len(sign) :].upper() == sign:
            return text[: -len(sign)].strip()
    return text


def _signs(currency: str) -> Iterator[str]:
    yield currency.upper()
    yield from {get_currency_symbol(currency, each).upper() for each in (_locale(), "en")}


def _no_amount(currency: str) -> str:
    example = write_amount(1234 * 10 ** places(currency) + 50 % 10 ** places(currency), currency)
    return _(
        "Type an amount of {currency} in the digits 0 to 9, such as {example}, without a minus and "
        "without another currency's sign."
    ).format(currency=currency, example=example)


def _too_fine(currency: str) -> str:
    if not places(currency):
        return _("{currency} has no decimals. Type a whole number.").format(currency=currency)
    return _("{currency} has {places} decimals at most.").format(
        currency=currency, places=places(currency)
    )


def _two_amounts(text: str, currency: str) -> str:
    """`text` is digits, one point or comma, and three more digits."""
    whole, decimals = re.split("[.,]", text)
    large = money(int(whole + decimals) * 10 ** places(currency), currency)
    small_minor, too_fine = divmod(int(whole + decimals) * 10 ** places(currency), 1000)
    if too_fine:
        return _(
            "{typed} could mean {large}, or have a decimal too many. Write {write_large} for the "
            "first."
        ).format(typed=text, large=show_money(large), write_large=whole + decimals)
    write_small = whole if not int(decimals) else write_amount(small_minor, currency)
    return _("{typed} could mean {small} or {large}. Write {write_small} or {write_large}.").format(
        typed=text,
        small=show_money(money(small_minor, currency)),
        large=show_money(large),
        write_small=write_small,
        write_large=whole + decimals,
    )


class AmountField(forms.CharField):
    """A field whose value is in minor units; the main unit is typed and shown."""

    def __init__(self, *, currency: str = "", **words: Any) -> None:
        self.currency = currency  # empty: the shop's
        attributes = {"inputmode": "decimal", "autocomplete": "off"}
        super().__init__(**{"widget": forms.TextInput(attrs=attributes), **words})

    def to_python(self, value: Any) -> Any:
        if isinstance(value, int):
            return value
        text = super().to_python(value)
        if not text:
            return None
        try:
            return read_amount(text, self.currency or settings.SHOP_CURRENCY)
        except UnreadableAmount as unreadable:
            raise ValidationError(str(unreadable), "amount") from None

    def prepare_value(self, value: Any) -> Any:
        if not isinstance(value, int):
            return value
        return write_amount(value, self.currency or settings.SHOP_CURRENCY)

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return bool(self.to_python(initial) != self.to_python(data))
        except ValidationError:
            return True


def _labelled(words: str) -> str:
    return words.format(currency=settings.SHOP_CURRENCY)


# A label such as "Price in {currency}", with the currency that the shop has when it is shown.
in_shop_currency = lazy(_labelled, str)
