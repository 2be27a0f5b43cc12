"""Countries to deliver to, from Babel's copy of the Unicode CLDR."""

from functools import cache

from babel import Locale
from django.utils.translation import get_language, gettext, to_locale

# Two-letter codes of the CLDR for what is no country to send a parcel to.
NOT_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


def countries() -> list[tuple[str, str]]:
    """Codes and names in the language of this request, as a form offers them."""
    return _countries(get_language() or "en")


@cache
def country_codes() -> frozenset[str]:
    """All codes, which are the same in every language."""
    return frozenset(code for code, _ in _countries("en") if code)


def country_name(code: str) -> str:
    return dict(countries()).get(code, code)


@cache
def _countries(language: str) -> list[tuple[str, str]]:
    territories = Locale.parse(to_locale(language)).territories
    named = [
        (code, name)
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    ]
    return [("", gettext("Choose a country")), *sorted(named, key=lambda country: country[1])]
