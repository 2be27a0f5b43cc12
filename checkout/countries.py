"""Countries to deliver to, from Babel's copy of the Unicode CLDR."""

from babel import Locale
from django.utils.translation import gettext_lazy as _

# Two-letter codes of the CLDR that are no places to send a parcel to.
NOT_COUNTRIES = {"EU", "EZ", "QO", "UN", "XA", "XB", "ZZ"}


def _countries() -> list[tuple[str, str]]:
    territories = Locale("en").territories
    countries = [
        (code, name)
        for code, name in territories.items()
        if len(code) == 2 and code.isalpha() and code not in NOT_COUNTRIES
    ]
    return [("", _("Choose a country")), *sorted(countries, key=lambda country: country[1])]


COUNTRIES = _countries()
