"""What postcodes look like, to tidy them up and to show an example; never to refuse one.

New codes are issued all the time, and some places use those of a neighbouring country: a shop that
insists on a pattern turns real addresses away.
"""

import re

# Country → an example and a pattern, with spaces and hyphens where people of that country write
# them. The postcode of a country that is not listed is left as it was typed.
KNOWN = {
    "AT": ("1010", r"\d{4}"),
    "AU": ("2000", r"\d{4}"),
    "BE": ("1000", r"\d{4}"),
    "BR": ("01310-100", r"(\d{5})[ -]?(\d{3})"),
    "CA": ("K1A 0B1", r"([A-Z]\d[A-Z])[ -]?(\d[A-Z]\d)"),
    "CH": ("3003", r"\d{4}"),
    "CZ": ("110 00", r"(\d{3}) ?(\d{2})"),
    "DE": ("10115", r"\d{5}"),
    "DK": ("1050", r"\d{4}"),
    "ES": ("28013", r"\d{5}"),
    "FI": ("00100", r"\d{5}"),
    "FR": ("75001", r"\d{5}"),
    "GB": ("SW1A 1AA", r"([A-Z]{1,2}\d[A-Z\d]?) ?(\d[A-Z]{2})"),
    "GR": ("105 57", r"(\d{3}) ?(\d{2})"),
    "HU": ("1051", r"\d{4}"),
    "IE": ("D02 AF30", r"([A-Z]\d[\dW]) ?([A-Z\d]{4})"),
    "IN": ("110 001", r"(\d{3}) ?(\d{3})"),
    "IT": ("00118", r"\d{5}"),
    "JP": ("100-0001", r"(\d{3})-?(\d{4})"),
    "LU": ("1234", r"\d{4}"),
    "NL": ("1012 AB", r"(\d{4}) ?([A-Z]{2})"),
    "NO": ("0150", r"\d{4}"),
    "NZ": ("6011", r"\d{4}"),
    "PL": ("00-001", r"(\d{2})-?(\d{3})"),
    "PT": ("1000-001", r"(\d{4})-?(\d{3})"),
    "SE": ("111 52", r"(\d{3}) ?(\d{2})"),
    "SK": ("811 01", r"(\d{3}) ?(\d{2})"),
    "US": ("10001", r"\d{5}(?:-\d{4})?"),
}


def tidy(postcode: str, country: str) -> str:
    """The postcode as that country writes it, or as it was typed if it does not look like one."""
    example, pattern = KNOWN.get(country, ("", ""))
    found = re.fullmatch(pattern, postcode.strip(), re.ASCII | re.IGNORECASE)
    if not pattern or not found:
        return postcode
    between = next((sign for sign in example if sign in " -"), "")
    return between.join(found.groups() or [found[0]]).upper()
