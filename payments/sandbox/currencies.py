"""What Stripe takes of each currency, by its own documentation and not by the shop's tables.

https://docs.stripe.com/currencies, "Minor units in API amounts", "Special cases" and "Minimum and
maximum charge amounts"; https://docs.stripe.com/error-codes for the codes. The smallest amounts are
those of an account that is paid out in the charge's own currency.
"""

from payments.sandbox.replies import refusal

ZERO_DECIMAL = set("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf".split())  # noqa: SIM905 - as the page lists them
THREE_DECIMAL = {"bhd", "jod", "kwd", "omr", "tnd"}
ALWAYS_00 = {"isk", "ugx"}
TWO_DECIMAL = set(
    "usd aed afn all amd ang aoa ars aud awg azn bam bbd bdt bgn bmd bnd bob brl bsd bwp byn bzd "  # noqa: SIM905 - as the page lists them
    "cad cdf chf cny cop crc cve czk dkk dop dzd egp etb eur fjd fkp gbp gel gip gmd gtq gyd hkd "
    "hnl htg huf idr ils inr jmd kes kgs khr kyd kzt lak lbp lkr lrd lsl mad mdl mkd mmk mnt mop "
    "mur mvr mwk mxn myr mzn nad ngn nio nok npr nzd pab pen pgk php pkr pln qar ron rsd rub sar "
    "sbd scr sek sgd shp sle sos srd std szl thb tjs top try ttd twd tzs uah uyu uzs wst xcd yer "
    "zar zmw".split()
)
KNOWN = ZERO_DECIMAL | THREE_DECIMAL | TWO_DECIMAL | ALWAYS_00

# Amounts are in the unit of the API.
MINIMUM = {
    **dict.fromkeys(["usd", "aud", "brl", "cad", "chf", "eur", "inr", "nzd", "sgd", "jpy"], 50),
    **dict.fromkeys(["aed", "myr", "pln", "ron"], 200),
    **dict.fromkeys(["nok", "sek"], 300),
    **dict.fromkeys(["mxn", "thb"], 1000),
    "bgn": 100,
    "czk": 1500,
    "dkk": 250,
    "gbp": 30,
    "hkd": 400,
    "huf": 17500,
}
MAXIMUM = {
    "cop": 999_999_999_990,
    "huf": 999_999_999_900,
    "idr": 999_999_999_999,
    "inr": 999_999_999,
    "jpy": 9_999_999_999,
    "lbp": 99_999_999_999_900,
}
OTHER_MAXIMUM = 99_999_999


def refuse_unknown_currency(currency: str) -> None:
    if currency not in KNOWN:
        raise refusal("invalid_currency", f"Invalid currency: {currency}.", param="currency")


def refuse_amount(amount: int, currency: str) -> None:
    """Refuses an amount that cannot be charged, or sent back, in this currency."""
    refuse_uncoined(amount, currency)
    if amount > MAXIMUM.get(currency, OTHER_MAXIMUM):
        _refuse("amount_too_large", "The amount is larger than is allowed.")
    if amount < MINIMUM.get(currency, 1):
        _refuse("amount_too_small", "The amount is smaller than is allowed.")


def refuse_uncoined(amount: int, currency: str) -> None:
    if currency in THREE_DECIMAL and amount % 10:
        _refuse("invalid_charge_amount", "The last digit must be 0 in this currency.")
    if currency in ALWAYS_00 and amount % 100:
        _refuse("invalid_charge_amount", "The amount must be divisible by 100 in this currency.")


def _refuse(code: str, message: str) -> None:
    raise refusal(code, message, param="amount")
