"""Tax rates of the European Union, the United Kingdom, Switzerland and Norway, as published.

Nobody at the shop's authorities wrote this list: whoever loads it has their adviser check it. It
holds the standard rate of each country and one reduced rate. Where a country has several, which one
is the main one was chosen here, and the others are named in the source of the row; which goods bear
which is a question for the adviser too.

The standard rates of the Union and the days from which they hold are those of the European
Commission's Taxes in Europe Database (TEDB) as the data set vatnode/eu-vat-rates-data had them on
2026-09-23; the reduced rates, and those of the other countries, as it had them on 2026-03-27. A
reduced rate that is older than the standard rate begins here with that: the shop has no rates
before it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from checkout.quotes.rules import TaxClass

TEDB = "European Commission, TEDB"
HMRC = "HM Revenue & Customs, VAT rates"
SWISS = "Swiss Federal Tax Administration, VAT rates"
NORWEGIAN = "Norwegian Tax Administration, VAT rates"

STANDARD_READ_ON = "2026-09-23"
OTHERS_READ_ON = "2026-03-27"


@dataclass(frozen=True, kw_only=True)
class PublishedRate:
    country: str
    tax_class: TaxClass
    percent: Decimal
    holds_from: date
    source: str


# Country: standard rate, since; main reduced rate, since; the other reduced rates.
EU = {
    "AT": ("20", "1984-01-01", "10", "1984-01-01", "13"),
    "BE": ("21", "1996-01-01", "6", "1996-01-01", "12"),
    "BG": ("20", "1999-01-01", "9", "2011-04-01", ""),
    "CY": ("19", "2014-01-13", "5", "2014-01-13", "3 and 9"),
    "CZ": ("21", "2013-01-01", "12", "2024-01-01", ""),
    "DE": ("19", "2021-01-01", "7", "2021-01-01", ""),
    "DK": ("25", "1992-01-01", "", "", ""),
    "EE": ("24", "2025-07-01", "9", "2025-07-01", "13"),
    "ES": ("21", "2012-09-01", "10", "2012-09-01", "4"),
    "FI": ("25.5", "2024-09-01", "13.5", "2026-01-01", "10"),
    "FR": ("20", "2014-01-01", "5.5", "2014-01-01", "2.1 and 10"),
    "GR": ("24", "2016-06-01", "13", "2016-06-01", "6"),
    "HR": ("25", "2012-03-01", "13", "2014-01-01", "5"),
    "HU": ("27", "2012-01-01", "5", "2012-01-01", "18"),
    "IE": ("23", "2021-03-01", "13.5", "2021-03-01", "4.8 and 9"),
    "IT": ("22", "2013-10-01", "10", "2013-10-01", "4 and 5"),
    "LT": ("21", "2009-09-01", "12", "2026-01-01", "5"),
    "LU": ("17", "2024-01-01", "8", "2024-01-01", "3 and 14"),
    "LV": ("21", "2012-07-01", "12", "2012-07-01", "5"),
    "MT": ("18", "2004-01-01", "5", "2004-01-01", "7"),
    "NL": ("21", "2012-10-01", "9", "2019-01-01", ""),
    "PL": ("23", "2011-01-01", "8", "2011-01-01", "5"),
    "PT": ("23", "2011-01-01", "6", "2011-01-01", "13"),
    "RO": ("21", "2025-08-01", "11", "2025-08-01", ""),
    "SE": ("25", "1990-07-01", "12", "1996-01-01", "6"),
    "SI": ("22", "2013-07-01", "9.5", "2013-07-01", "5"),
    "SK": ("23", "2025-01-01", "19", "2025-01-01", "5"),
}
OTHERS = {
    "GB": (HMRC, ("20", "2011-01-04", "5", "2011-01-04", "")),
    "CH": (SWISS, ("8.1", "2024-01-01", "2.6", "2024-01-01", "3.8")),
    "NO": (NORWEGIAN, ("25", "2005-01-01", "15", "2012-01-01", "12")),
}

Row = tuple[str, str, str, str, str]


def published_rates() -> tuple[PublishedRate, ...]:
    """Sorted by country, with the standard rate of each first."""
    rows = {country: (TEDB, STANDARD_READ_ON, row) for country, row in EU.items()}
    rows |= {country: (source, OTHERS_READ_ON, row) for country, (source, row) in OTHERS.items()}
    return tuple(
        rate for country in sorted(rows) for rate in _rates_of_country(country, *rows[country])
    )


def _rates_of_country(country: str, source: str, read_on: str, row: Row) -> Iterator[PublishedRate]:
    standard, since, reduced, reduced_since, others = row
    yield PublishedRate(
        country=country,
        tax_class=TaxClass.STANDARD,
        percent=Decimal(standard),
        holds_from=date.fromisoformat(since),
        source=f"{source}, read on {read_on}",
    )
    if not reduced:
        return
    beside = f"; reduced rates beside it: {others} %" if others else ""
    yield PublishedRate(
        country=country,
        tax_class=TaxClass.REDUCED,
        percent=Decimal(reduced),
        holds_from=date.fromisoformat(reduced_since),
        source=f"{source}, read on {OTHERS_READ_ON}{beside}",
    )
