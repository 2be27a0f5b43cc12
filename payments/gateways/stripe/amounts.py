"""Stripe's units, limits and steps per currency. https://docs.stripe.com/currencies, "Minor units
in API amounts", "Special cases" and "Minimum and maximum charge amounts".

Stripe's minor unit is not always the shop's, which is that of ISO 4217 as py-moneyed has it. So an
amount is converted exactly, or not at all. Nothing of Stripe's SDK is imported, since web processes
load this module too.
"""

from decimal import Decimal
from fractions import Fraction

from moneyed import CurrencyDoesNotExist, get_currency

from checkout.catalogue.amounts import AmountLimits

ZERO_DECIMAL = frozenset(
    "BIF CLP DJF GNF JPY KMF KRW MGA PYG RWF VND VUV XAF XOF XPF".split()  # noqa: SIM905 - read as the page lists them
)

# "These API calls require the least-significant (last) digit to be 0."
THREE_DECIMAL = frozenset({"BHD", "JOD", "KWD", "OMR", "TND"})

# "Backwards compatibility requires you to represent it as a two-decimal value, where the decimal
# amount is always 00." Stripe names UGX among the zero-decimal ones too; this is what it charges.
WHOLE_IN_TWO_DECIMALS = frozenset({"ISK", "UGX"})

# "Supported presentment currencies" with two decimals, for all countries together.
TWO_DECIMAL = frozenset(
    "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BWP BYN BZD CAD "  # noqa: SIM905 - read as the page lists them
    "CDF CHF CNY COP CRC CVE CZK DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GTQ GYD HKD HNL "
    "HTG HUF IDR ILS INR JMD KES KGS KHR KYD KZT LAK LBP LKR LRD LSL MAD MDL MKD MMK MNT MOP MUR "
    "MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD "
    "SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TOP TRY TTD TWD TZS UAH USD UYU UZS WST XCD "
    "YER ZAR ZMW".split()
)

TAKEN = ZERO_DECIMAL | TWO_DECIMAL | THREE_DECIMAL | WHOLE_IN_TWO_DECIMALS

# Amounts in the main unit, of the account's settlement currency; where that is another one,
# Stripe refuses a small amount itself, and that ends the payment as a decline does.
SMALLEST = {
    currency: Decimal(amount)
    for currency, amount in {
        "AED": "2.00",
        "AUD": "0.50",
        "BGN": "1.00",
        "BRL": "0.50",
        "CAD": "0.50",
        "CHF": "0.50",
        "CZK": "15.00",
        "DKK": "2.50",
        "EUR": "0.50",
        "GBP": "0.30",
        "HKD": "4.00",
        "HUF": "175.00",
        "INR": "0.50",
        "JPY": "50",
        "MXN": "10",
        "MYR": "2",
        "NOK": "3.00",
        "NZD": "0.50",
        "PLN": "2.00",
        "RON": "2.00",
        "SEK": "3.00",
        "SGD": "0.50",
        "THB": "10",
        "USD": "0.50",
    }.items()
}

# "8 digits for all other currencies", and more for some. Stripe's table gives these as money.
LARGEST_AMOUNT = 99_999_999
LARGEST = {
    "COP": Decimal("9999999999.90"),
    "HUF": Decimal("9999999999"),
    "IDR": Decimal("9999999999.99"),
    "INR": Decimal("9999999.99"),
    "JPY": Decimal("9999999999"),
    "LBP": Decimal("999999999999"),
}


class InexactAmount(ValueError):
    """The amount cannot be converted into the other side's unit without rounding."""


def limits(currency: str) -> AmountLimits | None:
    """The limits in the shop's minor unit; None for what Stripe cannot charge at all."""
    if currency not in TAKEN:
        return None
    step = (_step(currency) / stripe_units(currency)).numerator
    smallest = SMALLEST.get(currency, Decimal(0)) * get_currency(currency).sub_unit
    largest = (
        LARGEST[currency] * get_currency(currency).sub_unit
        if currency in LARGEST
        else LARGEST_AMOUNT / stripe_units(currency)
    )
    return AmountLimits(
        smallest_minor=max(step, -(-int(smallest) // step) * step),
        largest_minor=int(largest) // step * step,
        step_minor=step,
    )


def to_stripe(amount_minor: int, currency: str) -> int:
    """The amount to send to Stripe. InexactAmount when Stripe has no such amount."""
    if currency not in TAKEN:
        raise InexactAmount(f"Stripe takes no {currency}.")
    amount = amount_minor * stripe_units(currency)
    if amount % _step(currency):
        raise InexactAmount(f"Stripe takes {currency} in other steps.")
    return int(amount)


def from_stripe(amount: int, currency: str) -> int:
    """Stripe's amount in the shop's minor unit. InexactAmount when the shop has no such coin. In an
    unknown currency, which only another program's payment can have, the figure stays as it is."""
    try:
        amount_minor = amount / stripe_units(currency)
    except CurrencyDoesNotExist:
        return amount
    if amount_minor.denominator != 1:
        raise InexactAmount(f"{currency} has no coins that small here.")
    return int(amount_minor)


def stripe_units(currency: str) -> Fraction:
    """How many of Stripe's units make one minor unit of the shop's."""
    return Fraction(10 ** _decimals(currency), get_currency(currency).sub_unit)


def _decimals(currency: str) -> int:
    if currency in ZERO_DECIMAL:
        return 0
    return 3 if currency in THREE_DECIMAL else 2


def _step(currency: str) -> Fraction:
    """The step of amounts in Stripe's unit."""
    if currency in WHOLE_IN_TWO_DECIMALS:
        return Fraction(100)
    return Fraction(10 if currency in THREE_DECIMAL else 1)
