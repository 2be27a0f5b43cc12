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


def country_code(typed: str) -> str:
    """The code of a country that was typed as code or by its name in the language of this request
    or in English; empty if there is none."""
    return _codes_by_name(get_language() or "en").get(" ".join(typed.casefold().split()), "")


def country_name(code: str) -> str:
    return dict(countries()).get(code, code)


@cache
def _codes_by_name(language: str) -> dict[str, str]:
    named = [*_countries("en"), *_countries(language)]
    return {each.casefold(): code for code, name in named if code for each in (name, code)}


@cache
def _countries(language: str) -> list[tuple[str, str]]:
    territories = Locale.parse(to_locale(language)).territories
    named = [
        (code, name)
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    ]
    return [("", gettext("Choose a country")), *sorted(named, key=lambda country: country[1])]
